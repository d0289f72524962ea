//! The one doorway to jaq: which functions a program has, compiling it, running it.
//!
//! Programs have jq's functions without those that would make a key depend on anything but its record (environment, clock, time
//! zone of the machine, further input, files), without those that loop for an unbounded time, and with ours.
//!
//! jq 1.6 is followed where it is sane. What remains different, deliberately: integers are exact; fractions of seconds and
//! offsets are taken by `fromdate` and kept by `todate`; regular expressions have no look-around and no back-references;
//! milliseconds taken for seconds are an error and not the year 51574;
//! `a // b` does not hide an error of `a`; half a surrogate pair is U+FFFD (as in jq 1.7).

use std::fmt;

use jaq_core::compile::Undefined;
use jaq_core::data::JustLut;
use jaq_core::load::parse::Def;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::native::{self, Fun, bome, run, unary, v};
use jaq_core::{Compiler, Ctx, Cv, Error, Native, RunPtr, ValXs, Vars};
use schemas::problem::nearest;
use schemas::rules::JqCompat;

use super::budget::{self, charge, charge_bytes};
use super::builtins::{self, FUNCTIONS, FUNCTIONS1};
use super::number::Num;
use super::value::{Outcome, Value};

type Data = JustLut<Value>;

/// A compiled program. Shared between threads.
pub(crate) struct Program(jaq_core::Filter<Data>);

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program")
    }
}

impl Program {
    /// Compiles a program that [`super::check::parse`] has accepted; else the message says what it lacks.
    pub(crate) fn compile(program: &str, compat: JqCompat) -> Result<Program, String> {
        let arena = Arena::default();
        let loader = Loader::new(definitions(compat));
        let modules =
            loader.load(&arena, File { code: program, path: () }).map_err(|_| "program does not parse".to_string())?;
        let compiled = Compiler::default().with_funs(functions()).compile(modules);
        compiled.map(Program).map_err(|errors| {
            let first = errors.first().and_then(|(_, errors)| errors.first());
            first.map_or_else(|| "program does not compile".to_string(), |(name, what)| undefined(name, what, compat))
        })
    }

    /// At most `most` outputs; an error ends them. Call within a budget.
    pub(crate) fn run(&self, input: Value, most: usize) -> Vec<Outcome> {
        let context = Ctx::<Data>::new(&self.0.lut, Vars::new([]));
        let mut outputs = Vec::new();
        for output in self.0.id.run((context, input)) {
            // `get_err` and not `unwrap_valr`, which may end the process.
            let output = output
                .map_err(|e| e.get_err().map_or_else(|_| "break outside of its label".to_string(), |e| e.to_string()));
            let failed = output.is_err();
            outputs.push(output);
            if failed || outputs.len() == most {
                break;
            }
        }
        outputs
    }
}

fn undefined(name: &str, what: &Undefined, compat: JqCompat) -> String {
    if let Some(hint) = hint(name) {
        return format!("`{name}` is not available: {hint}");
    }
    let arity = match what {
        Undefined::Filter(arity) => *arity,
        other => return format!("`{name}` is not defined ({})", other.as_str()),
    };
    let names: Vec<(&str, usize)> = available(compat);
    if let Some((_, has)) = names.iter().find(|(known, _)| *known == name) {
        return format!("`{name}` takes {has} arguments, not {arity}");
    }
    match nearest(name, names.iter().map(|(known, _)| *known)) {
        Some(known) => format!("there is no function `{name}`: did you mean `{known}`?"),
        None => format!("there is no function `{name}`; a field is written with a dot, `.{name}`"),
    }
}

fn hint(name: &str) -> Option<&'static str> {
    Some(match name {
        "env" | "$ENV" | "now" | "input" | "inputs" | "input_filename" | "input_line_number" | "debug" | "stderr"
        | "halt" | "halt_error" | "$__loc__" | "localtime" | "strflocaltime" | "get_search_list" => {
            "keys are a function of the record alone, so that a replay gives the same partitions"
        }
        "recurse" | "repeat" | "while" | "until" | "combinations" => {
            "a key must end for every record; use `..`, `limit(n; f)` or `first(f)`"
        }
        "setpath" | "delpaths" => "a key is worked out, not edited; use `del(path)` or `.path = value`",
        "jn" | "yn" | "tobytes" | "bsearch" | "@csv" | "@tsv" => "it is not part of the functions for keys",
        _ => return None,
    })
}

/// Names and arities a program may call.
fn available(compat: JqCompat) -> Vec<(&'static str, usize)> {
    let defined = definitions(compat).map(|def| (def.name, def.args.len()));
    defined
        .chain(functions().into_iter().map(|(name, args, _)| (name, args.len())))
        .filter(|(name, _)| !name.ends_with("_raw") && !name.ends_with("_cost"))
        .collect()
}

/// Definitions of jaq's libraries that are not ours to use: unbounded, machine-dependent, or done differently here.
const DEFINITIONS_LEFT_OUT: &[(&str, usize)] = &[
    ("repeat", 1),
    ("recurse", 0),
    ("recurse", 1),
    ("recurse", 2),
    ("while", 2),
    ("until", 2),
    ("combinations", 1),
    ("setpath", 2),
    ("delpaths", 1),
    ("getpath", 1),
    ("stderr", 0),
    ("debug", 0),
    ("debug", 1),
    ("halt", 0),
    ("halt_error", 0),
    ("halt_error", 1),
    ("nan", 0),
    ("infinite", 0),
    ("isnan", 0),
    ("flatten", 0),
    ("flatten", 1),
    ("join", 1),
    ("split", 1),
    ("tostring", 0),
    ("tonumber", 0),
    ("not", 0),
    ("type", 0),
];

/// Ours, in jq. Whatever costs more than its output shows is charged for before it runs.
const OURS: &str = r#"
def recurse: ..;
def matches($re; $flags): regex_cost($re; $flags) | matches_raw($re; $flags);
def split_matches($re; $flags): regex_cost($re; $flags) | split_matches_raw($re; $flags);
def split_($re; $flags): regex_cost($re; $flags) | split_raw($re; $flags);
def strftime($format): epoch_seconds | format_cost($format) | strftime_raw($format);
def todateiso8601: epoch_seconds | todateiso8601_raw;
def gmtime: epoch_seconds | gmtime_raw;
def strptime($format): format_cost($format) | strptime_raw($format);
"#;

/// What jq 1.6 does otherwise, for who asks for it. Its time zone is taken to be UTC, as on a machine that has none.
const OURS_AS_16: &str = r#"
def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
def todate: todateiso8601;
def date: todate;
def fromdateiso8601: strptime("%Y-%m-%dT%H:%M:%SZ") | mktime;
def fromdate: fromdateiso8601;
def localtime: gmtime;
def strflocaltime($format): strftime($format);
"#;

fn definitions(compat: JqCompat) -> impl Iterator<Item = Def<&'static str>> {
    let left_out = |def: &Def<&'static str>| DEFINITIONS_LEFT_OUT.contains(&(def.name, def.args.len()));
    let jaqs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let ours = load::parse(OURS, |p| p.defs()).expect("the definitions above parse");
    let as_16 = load::parse(OURS_AS_16, |p| p.defs()).expect("the definitions above parse");
    // Ours first, since the libraries' definitions call them; jq's last, since the last one of a name is meant.
    let ours = ours.into_iter().chain(jaqs.filter(move |def| !left_out(def)));
    ours.chain(as_16.into_iter().filter(move |_| compat == JqCompat::V16))
}

/// Functions of jaq's libraries that are not ours to use.
const FUNCTIONS_LEFT_OUT: &[&str] =
    &["halt", "env", "now", "debug_empty", "stderr_empty", "localtime", "strflocaltime", "jn", "yn"];

fn functions() -> Vec<Fun<Data>> {
    let renamed = |name: &'static str| match name {
        "matches" => "matches_raw",
        "split_matches" => "split_matches_raw",
        "split_" => "split_raw",
        "strftime" => "strftime_raw",
        "strptime" => "strptime_raw",
        "todateiso8601" => "todateiso8601_raw",
        "gmtime" => "gmtime_raw",
        other => other,
    };
    let ours: Vec<Fun<Data>> = our_functions();
    let replaced: Vec<&str> = ours.iter().map(|(name, ..)| *name).collect();
    let jaqs = jaq_core::funs().chain(jaq_std::funs()).filter(|(name, ..)| !FUNCTIONS_LEFT_OUT.contains(name));
    let jaqs: Vec<Fun<Data>> =
        jaqs.filter(|(name, ..)| !replaced.contains(name)).map(|(name, args, f)| (renamed(name), args, f)).collect();
    ours.into_iter().chain(jaqs).collect()
}

fn give<'a>(outcome: Outcome) -> ValXs<'a, Value> {
    bome(outcome.map_err(Error::str))
}

/// Function pointers cannot capture: one closure per row of the tables.
macro_rules! rows {
    ($($i:literal)*) => {[$(
        (FUNCTIONS[$i].0, v(0), (|cv| give((FUNCTIONS[$i].1)(cv.1))) as RunPtr<Data>)
    ),*]};
}
macro_rules! rows1 {
    ($($i:literal)*) => {[$(
        (FUNCTIONS1[$i].0, v(1), (|cv| unary(cv, |x, y| (FUNCTIONS1[$i].1)(x, &y).map_err(Error::str))) as RunPtr<Data>)
    ),*]};
}

fn our_functions() -> Vec<Fun<Data>> {
    let none: [_; FUNCTIONS.len()] = rows!(0 1 2 3 4 5 6 7 8 9 10 11 12);
    let one: [_; FUNCTIONS1.len()] = rows1!(0 1 2 3 4 5 6);
    let more: [native::Filter<RunPtr<Data>>; 12] = [
        ("fromjson", v(0), |cv| give(builtins::from_json(&cv.1))),
        ("join", v(1), |cv| unary(cv, |x, y| builtins::join(&x, &y).map_err(Error::str))),
        ("getpath", v(1), |cv| unary(cv, |x, path| get_path(x, &path).map_err(Error::str))),
        ("contains", v(1), |cv| unary(cv, |x, y| Ok(Value::Bool(contains(&x, &y))))),
        ("indices", v(1), |cv| unary(cv, |x, y| indices(&x, &y).map_err(Error::str))),
        ("flatten", v(0), |cv| give(flatten(cv.1, f64::INFINITY))),
        ("flatten", v(1), |cv| {
            unary(cv, |x, depth| flatten(x, jaq_std::ValT::as_f64(&depth).unwrap_or(0.0)).map_err(Error::str))
        }),
        ("nan", v(0), |_| give(Ok(Value::Num(Num::Float(f64::NAN))))),
        ("infinite", v(0), |_| give(Ok(Value::Num(Num::Float(f64::INFINITY))))),
        ("isnan", v(0), |cv| give(Ok(Value::Bool(matches!(&cv.1, Value::Num(n) if n.is_nan()))))),
        ("format_cost", v(1), format_cost),
        ("epoch_seconds", v(0), |cv| give(epoch_seconds(cv.1))),
    ];
    let regex: native::Filter<RunPtr<Data>> = ("regex_cost", v(2), regex_cost);
    none.into_iter().chain(one).chain(more).chain([regex]).map(run::<Data>).collect::<Vec<(_, _, Native<Data>)>>()
}

/// A directive of a few characters may give up to 255 characters of padding.
fn format_cost(cv: Cv<'_, Data>) -> ValXs<'_, Value> {
    unary(cv, |input, format| {
        if let Value::Str(format) = &format {
            charge_bytes(format.len().saturating_mul(128));
        }
        Ok(input)
    })
}

/// Last second of the year 9999.
const EPOCH_SECONDS_MAX: f64 = 253_402_300_799.0;

/// jaq multiplies seconds into microseconds without looking: far ones would come out as some other date.
fn epoch_seconds(value: Value) -> Outcome {
    match &value {
        Value::Num(n) if n.as_f64().abs() > EPOCH_SECONDS_MAX => Err(format!(
            "{} is no epoch seconds before the year 10000: divide milliseconds by 1000, or use utc_date",
            n.text()
        )),
        _ => Ok(value),
    }
}

/// A search costs the size of the expression, its repetitions written out, times the length of the text; one for all matches may
/// cost that from every match on.
fn regex_cost(mut cv: Cv<'_, Data>) -> ValXs<'_, Value> {
    let (flags, expression) = (cv.0.pop_var(), cv.0.pop_var());
    if let (Value::Str(expression), Value::Str(text)) = (&expression, &cv.1) {
        let size = expression_size(expression);
        if size > EXPRESSION_SIZE_MAX {
            budget::exceed();
        }
        let all = matches!(&flags, Value::Str(flags) if flags.contains('g'));
        let searches = if all { 1 + text.len() / 64 } else { 1 };
        charge(size.saturating_mul(1 + text.len()).saturating_mul(searches) / 8);
    }
    give(Ok(cv.1))
}

/// Largest regular expression, repetitions written out.
const EXPRESSION_SIZE_MAX: usize = 10_000;

/// An upper bound: the length times every number that stands behind a `{` or a comma.
fn expression_size(expression: &str) -> usize {
    let numbers = expression.split(['{', ',']).skip(1).filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).take(9).collect();
        digits.parse::<usize>().ok()
    });
    numbers.fold(expression.len(), |size, n| size.saturating_mul(n.max(1)))
}

fn get_path(value: Value, path: &Value) -> Outcome {
    let Value::Arr(path) = path else {
        return Err("getpath takes an array of names and indices".to_string());
    };
    path.items.iter().try_fold(value, |value, key| value.index(key))
}

/// jq's `contains`: substrings, and containment member by member.
fn contains(value: &Value, part: &Value) -> bool {
    charge(1);
    match (value, part) {
        (Value::Str(text), Value::Str(part)) => {
            charge_bytes(text.len());
            text.contains(&**part)
        }
        (Value::Arr(items), Value::Arr(parts)) => {
            parts.items.iter().all(|part| items.items.iter().any(|item| contains(item, part)))
        }
        (Value::Obj(object), Value::Obj(parts)) => {
            parts.members.iter().all(|(name, part)| object.members.get(name).is_some_and(|value| contains(value, part)))
        }
        _ => value == part,
    }
}

/// Where a value, a sequence of values, or (in code points) a string occurs.
fn indices(value: &Value, part: &Value) -> Outcome {
    match (value, part) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Str(text), Value::Str(part)) => {
            charge_bytes(text.len().saturating_mul(1 + part.len()));
            let starts = text
                .char_indices()
                .enumerate()
                .filter(|(_, (at, _))| !part.is_empty() && text[*at..].starts_with(&**part));
            Ok(Value::array(starts.map(|(n, _)| Value::int(n)).collect()))
        }
        (Value::Arr(items), Value::Arr(parts)) if !parts.items.is_empty() => {
            let windows = items.items.windows(parts.items.len()).enumerate();
            Ok(Value::array(windows.filter(|(_, window)| *window == parts.items).map(|(n, _)| Value::int(n)).collect()))
        }
        (Value::Arr(_), Value::Arr(_)) => Ok(Value::Null),
        (Value::Arr(items), part) => {
            let equal = items.items.iter().enumerate().filter(|(_, item)| *item == part);
            Ok(Value::array(equal.map(|(n, _)| Value::int(n)).collect()))
        }
        (value, _) => Err(format!("cannot look for something in {}", value.kind())),
    }
}

fn flatten(value: Value, depth: f64) -> Outcome {
    fn into(items: &[Value], depth: f64, out: &mut Vec<Value>) {
        for item in items {
            match item {
                Value::Arr(inner) if depth > 0.0 => into(&inner.items, depth - 1.0, out),
                other => out.push(other.clone()),
            }
        }
    }
    let Value::Arr(array) = value else {
        return Err(format!("cannot flatten {}", value.kind()));
    };
    let mut out = Vec::new();
    into(&array.items, depth, &mut out);
    Ok(Value::array(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_and_function_of_the_reduced_library_compiles() {
        assert!(Program::compile(".", JqCompat::Off).is_ok(), "{:?}", Program::compile(".", JqCompat::Off));
    }

    #[test]
    fn nothing_but_the_record_is_reachable() {
        for program in [
            "env",
            "env.HOME",
            "$ENV.HOME",
            "now",
            "input",
            "inputs",
            "input_filename",
            "debug",
            "stderr",
            "halt",
            "halt_error",
            "localtime",
            "strflocaltime(\"%H\")",
            "$__loc__",
            "input_line_number",
            "get_search_list",
        ] {
            let message = Program::compile(program, JqCompat::Off).expect_err(program);
            assert!(message.contains("function of the record alone"), "{program}: {message}");
        }
        for program in ["repeat(1)", "recurse(.)", "while(true; .)", "until(false; .)"] {
            assert!(Program::compile(program, JqCompat::Off).expect_err(program).contains("must end"), "{program}");
        }
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_one() {
        let message = |program| Program::compile(program, JqCompat::Off).expect_err(program);
        assert_eq!(message(".a | utcdate"), "there is no function `utcdate`: did you mean `utc_date`?");
        assert_eq!(message(".a | bucket"), "`bucket` takes 1 arguments, not 0");
        assert_eq!(
            message("attribute_name"),
            "there is no function `attribute_name`; a field is written with a dot, `.attribute_name`"
        );
    }
}
