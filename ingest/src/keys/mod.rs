//! Partition keys out of an event's content: jq programs, compiled once, one scalar each.
//!
//! A program runs in one of three ways, whichever is the cheapest that can run it ([`Level`]): as a plan straight on the text of
//! the record ([`plan`]), by jaq on the few fields it reads, or by jaq on the whole record ([`jaq`]). All three use the same
//! values and operations ([`value`], [`number`], [`builtins`]), and a differential test holds them together.
//!
//! Every evaluation ends, whatever the program and the record: see [`budget`] and [`check`].

mod arrival;
mod budget;
mod builtins;
mod check;
mod jaq;
mod jaq_value;
mod number;
mod plan;
mod reads;
mod scan;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use schemas::problem::Problem;
use schemas::reject::{Reason, Reject, quote};
use schemas::rules::JqCompat;
use writer::tape::Tape;

use self::arrival::Arrival;
use self::budget::Stopped;
use self::jaq::Program;
use self::plan::{Fail, Lazy, Plan, Scanned};
use self::reads::Reads;
use self::value::{Map, Value};

/// Limits of one evaluation of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Steps of the interpreter: values made, copied or compared, and every 32 bytes of text. A record gives one more for every
    /// 8 bytes of its own, so that looking at each element of a large record is fine. A step is some tens of nanoseconds, and at
    /// most some hundred bytes of memory.
    pub steps: u64,
    /// Bytes of the value a key may have.
    pub value_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { steps: 100_000, value_bytes: 512 }
    }
}

/// How a key's program runs, cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// On the text of the record: some tens of nanoseconds.
    Native,
    /// jaq, on the top-level fields that the program reads: about a microsecond.
    Projected,
    /// jaq, on the whole record: several microseconds.
    Full,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Native => "native",
            Level::Projected => "projected",
            Level::Full => "full",
        })
    }
}

/// The compiled keys of a table. Shared between threads.
#[derive(Debug)]
pub struct Keys {
    keys: Vec<Key>,
    /// Top-level fields that the plans and projections read.
    fields: Vec<Arc<str>>,
    budget: Budget,
    compat: JqCompat,
}

#[derive(Debug)]
struct Key {
    name: String,
    program: Program,
    reads: Reads,
    run: Run,
}

#[derive(Debug)]
enum Run {
    Native(Plan),
    /// The fields, and their places among those scanned.
    Projected(Vec<(Arc<str>, usize)>),
    Full,
    /// Of no record, but of when it came.
    Arrived(Arrival),
}

/// A record on its way through the keys.
#[derive(Debug, Clone, Copy)]
struct Given<'a, 'f> {
    scanned: Scanned<'a, 'f>,
    arrived_at: Option<i64>,
    compat: JqCompat,
}

/// What a program gave, as far as it matters for a key.
#[derive(Debug)]
enum Output<'a> {
    None,
    One(Lazy<'a>),
    Several,
    Error(String),
}

/// So many fields are found without an allocation.
const FIELDS_FEW: usize = 16;

/// With fewer steps than this even a value that stands in the record as it is goes the long way, which counts them.
const STEPS_PLAIN: u64 = 16;

/// Digits of an integer that is the same however it is read: within 64 bits, and within a double.
const PLAIN_DIGITS: usize = 18;
const PLAIN_DIGITS_OF_DOUBLES: usize = 15;

/// Stack for compiling: the parser recurses as deep as a program nests.
const COMPILE_STACK_BYTES: usize = 64 * 1024 * 1024;

impl Keys {
    /// Compiles `name = program` pairs. `place` gives file and line of the n-th pair for problems.
    pub fn compile(
        named: &[(String, String)],
        budget: Budget,
        place: &dyn Fn(usize) -> (String, Option<usize>),
    ) -> Result<Keys, Vec<Problem>> {
        Keys::compile_as(named, JqCompat::Off, budget, place)
    }

    /// As [`Keys::compile`], for programs that answer as a version of jq does.
    pub fn compile_as(
        named: &[(String, String)],
        compat: JqCompat,
        budget: Budget,
        place: &dyn Fn(usize) -> (String, Option<usize>),
    ) -> Result<Keys, Vec<Problem>> {
        let compiled = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(COMPILE_STACK_BYTES);
            let spawned = thread.spawn_scoped(scope, || compile_all(named, compat));
            spawned.map_err(|e| format!("cannot start a thread: {e}")).map(|handle| handle.join())
        });
        let (keys, fields) = match compiled {
            Ok(Ok(compiled)) => compiled,
            Ok(Err(_)) => (vec![(0, Err("program made the parser panic".to_string()))], Vec::new()),
            Err(message) => (vec![(0, Err(message))], Vec::new()),
        };
        let mut good = Vec::new();
        let mut problems = Vec::new();
        for (at, key) in keys {
            match key {
                Ok(key) => good.push(key),
                Err(message) => {
                    let (file, line) = place(at);
                    let name = named.get(at).map_or("", |(name, _)| name);
                    problems.push(Problem::new(&file, line, format!("key `{name}`: {message}")));
                }
            }
        }
        if problems.is_empty() { Ok(Keys { keys: good, fields, budget, compat }) } else { Err(problems) }
    }

    /// Each key's name and how its program runs.
    pub fn levels(&self) -> Vec<(&str, Level)> {
        self.keys.iter().map(|key| (key.name.as_str(), key.run.level())).collect()
    }

    /// The keys' values, in order, as the text that stands for the scalar. `values` is reused: cleared and filled.
    ///
    /// `record` is strict JSON (UTF-8, an object, nested no deeper than the limit): the decode stage has checked.
    pub fn evaluate(&self, record: &[u8], values: &mut Vec<String>) -> Result<(), Reject> {
        self.evaluate_arrived(record, None, values)
    }

    /// As [`Keys::evaluate`] of a record that arrived at this instant, milliseconds since the epoch: where a key tells of it.
    pub fn evaluate_arrived(
        &self,
        record: &[u8],
        arrived_at: Option<i64>,
        values: &mut Vec<String>,
    ) -> Result<(), Reject> {
        let Ok(record) = simdutf8::basic::from_utf8(record) else {
            values.clear();
            return Err(Reject::new(Reason::NotJson, "record is not json: not UTF-8"));
        };
        let mut nodes = Vec::new();
        match Tape::read(record, &mut nodes) {
            Ok(tape) => self.evaluate_apart(tape, arrived_at, values),
            Err(_) => {
                let find = |names: &[Arc<str>], found: &mut [_]| scan::fields(record, names, found);
                self.evaluate_with(record, arrived_at, values, find)
            }
        }
    }

    /// As [`Keys::evaluate_arrived`] of a record that is taken apart already.
    pub fn evaluate_apart(
        &self,
        record: Tape<'_>,
        arrived_at: Option<i64>,
        values: &mut Vec<String>,
    ) -> Result<(), Reject> {
        let find = |names: &[Arc<str>], found: &mut [_]| scan::fields_apart(record, names, found);
        self.evaluate_with(record.text(), arrived_at, values, find)
    }

    fn evaluate_with<'a>(
        &self,
        record: &'a str,
        arrived_at: Option<i64>,
        values: &mut Vec<String>,
        find: impl FnOnce(&[Arc<str>], &mut [Option<&'a str>]),
    ) -> Result<(), Reject> {
        let (mut few, mut many) = ([None; FIELDS_FEW], Vec::new());
        let count = self.fields.len();
        let found = if count <= FIELDS_FEW {
            &mut few[..count]
        } else {
            many.resize(count, None);
            &mut many[..]
        };
        if self.compat == JqCompat::V16 {
            scan::whole_surrogates(record)?;
        }
        find(&self.fields, found);
        let scanned = Scanned { record: record.trim_ascii(), fields: found };
        let given = Given { scanned, arrived_at, compat: self.compat };
        // Keeps the allocations of the record before.
        values.resize_with(self.keys.len(), String::new);
        for (key, value) in self.keys.iter().zip(values.iter_mut()) {
            value.clear();
            if !key.is_plain(given, &self.budget, value) {
                value.clear();
                key.evaluate(given, &self.budget, &key.run, value)?;
            }
        }
        Ok(())
    }

    /// As [`Keys::evaluate`] with jaq on the whole record for every key: what the other ways are compared with.
    #[doc(hidden)]
    pub fn evaluate_by_jaq(&self, record: &[u8], values: &mut Vec<String>) -> Result<(), Reject> {
        let record = std::str::from_utf8(record).expect("decode has checked").trim_ascii();
        values.clear();
        if self.compat == JqCompat::V16 {
            scan::whole_surrogates(record)?;
        }
        for key in &self.keys {
            let mut value = String::new();
            let scanned = Scanned { record, fields: &[] };
            let given = Given { scanned, arrived_at: None, compat: self.compat };
            let run = if let Run::Arrived(_) = key.run { &key.run } else { &Run::Full };
            key.evaluate(given, &self.budget, run, &mut value)?;
            values.push(value);
        }
        Ok(())
    }
}

type Compiled = (Vec<(usize, Result<Key, String>)>, Vec<Arc<str>>);

fn compile_all(named: &[(String, String)], compat: JqCompat) -> Compiled {
    let mut fields = Vec::new();
    let mut one = |(name, program): &(String, String)| {
        // The numbers that stand in a program are jq's as those of a record are.
        number::with_doubles(compat == JqCompat::V16, || compile(name, program, compat, &mut fields))
    };
    let mut keys: Vec<_> = named.iter().map(&mut one).collect();
    if named.is_empty() {
        keys.push(Err("there are no keys: write `name = '.field'` under [keys]".to_string()));
    }
    (keys.into_iter().enumerate().collect(), fields)
}

fn compile(name: &str, program: &str, compat: JqCompat, fields: &mut Vec<Arc<str>>) -> Result<Key, String> {
    let term = check::parse(program)?;
    if let Some(arrival) = arrival::of(&term)? {
        let (program, reads) = (Program::compile(".", compat)?, Reads::default());
        return Ok(Key { name: name.to_string(), program, reads, run: Run::Arrived(arrival) });
    }
    let compiled = Program::compile(program, compat)?;
    let reads = Reads::of(&term);
    let run = match plan::compile(&term, fields) {
        Some(plan) => Run::Native(plan),
        None if reads.whole => Run::Full,
        None => Run::Projected(places(&reads, fields)),
    };
    Ok(Key { name: name.to_string(), program: compiled, reads, run })
}

fn places(reads: &Reads, fields: &mut Vec<Arc<str>>) -> Vec<(Arc<str>, usize)> {
    let mut places: Vec<(Arc<str>, usize)> = Vec::new();
    for name in reads.paths.iter().filter_map(|path| path.first()) {
        if places.iter().any(|(known, _)| known == name) {
            continue;
        }
        let place = fields.iter().position(|field| field == name).unwrap_or_else(|| {
            fields.push(name.clone());
            fields.len() - 1
        });
        places.push((name.clone(), place));
    }
    places
}

impl Run {
    fn level(&self) -> Level {
        match self {
            Run::Native(_) | Run::Arrived(_) => Level::Native,
            Run::Projected(_) => Level::Projected,
            Run::Full => Level::Full,
        }
    }
}

impl Key {
    /// The usual programs on the usual values: writes the text if there is nothing to be said against it. False says nothing.
    fn is_plain(&self, given: Given<'_, '_>, budget: &Budget, value: &mut String) -> bool {
        let digits = if given.compat.is_off() { PLAIN_DIGITS } else { PLAIN_DIGITS_OF_DOUBLES };
        match &self.run {
            // What this charges is less than a record of any length gives.
            Run::Native(plan) if budget.steps >= STEPS_PLAIN => {
                plan.write_plain(given.scanned, digits, value) && (1..=budget.value_bytes).contains(&value.len())
            }
            _ => false,
        }
    }

    fn evaluate(&self, given: Given<'_, '_>, budget: &Budget, run: &Run, value: &mut String) -> Result<(), Reject> {
        if let Run::Arrived(arrival) = run {
            value.push_str(&self.arrival(arrival, given.arrived_at)?);
            return Ok(());
        }
        number::with_doubles(given.compat == JqCompat::V16, || self.interpret(given.scanned, budget, run, value))
    }

    fn arrival(&self, arrival: &Arrival, arrived_at: Option<i64>) -> Result<String, Reject> {
        let text = arrived_at.and_then(|at| arrival.text(at));
        text.ok_or_else(|| self.reject(Reason::KeyError, "tells when the record arrived, and that is not known here"))
    }

    fn interpret(
        &self,
        scanned: Scanned<'_, '_>,
        budget: &Budget,
        run: &Run,
        value: &mut String,
    ) -> Result<(), Reject> {
        let input = match run {
            Run::Native(_) | Run::Arrived(_) => Value::Null,
            Run::Projected(places) => project(scanned, places),
            Run::Full => scan::parse(scanned.record),
        };
        let steps = budget.steps + (scanned.record.len() / budget::RECORD_BYTES_PER_STEP) as u64;
        let result = budget::within(steps, || {
            let output = match run {
                Run::Native(plan) => native(plan.run(scanned)),
                _ => interpreted(self.program.run(input, 2)),
            };
            self.scalar(output, scanned.record, value)
        });
        match result {
            Ok(Ok(())) if value.len() > budget.value_bytes => Err(self.reject(
                Reason::KeyTooLong,
                format!("has a value of {} bytes, more than {}: `{}`", value.len(), budget.value_bytes, quote(value)),
            )),
            Ok(result) => result,
            Err(Stopped::Budget) => Err(self.reject(
                Reason::KeyBudget,
                format!("exceeded its budget of {steps} steps or {} levels", budget::VALUE_DEPTH_MAX),
            )),
            Err(Stopped::Panic(text)) => {
                Err(self.reject(Reason::KeyError, format!("failed inside the interpreter: {text}")))
            }
        }
    }

    /// The text that stands for the output, if it is one scalar.
    fn scalar(&self, output: Output<'_>, record: &str, text: &mut String) -> Result<(), Reject> {
        let value = match output {
            Output::One(value) => value,
            Output::None => return Err(self.reject(Reason::KeyNoOutput, "gave no output: a key is exactly one value")),
            Output::Several => {
                return Err(
                    self.reject(Reason::KeySeveralOutputs, "gave more than one output: a key is exactly one value")
                );
            }
            Output::Error(message) => return Err(self.reject(Reason::KeyError, format!("failed: {}", quote(&message)))),
        };
        match value.plain_text() {
            Some(plain) => text.push_str(plain),
            None => match value.into_value() {
                Value::Null => return Err(self.null(record)),
                Value::Num(n) if n.is_nan() => return Err(self.reject(Reason::KeyNull, "is not a number (NaN)")),
                Value::Num(n) => text.push_str(&n.text()),
                Value::Bool(b) => text.push_str(if b { "true" } else { "false" }),
                Value::Str(s) => text.push_str(&s),
                other => {
                    let message = format!("is an {}: a key is a string, a number or a boolean", other.kind());
                    return Err(self.reject(Reason::KeyNotScalar, message));
                }
            },
        }
        if text.is_empty() {
            return Err(self.reject(Reason::KeyEmpty, "is the empty string"));
        }
        Ok(())
    }

    fn null(&self, record: &str) -> Reject {
        match self.reads.missing(record) {
            Some(path) => self.reject(Reason::KeyMissing, format!("is null: `{path}` is not in the record")),
            None => self.reject(Reason::KeyNull, "is null"),
        }
    }

    fn reject(&self, reason: Reason, what: impl fmt::Display) -> Reject {
        Reject::key(reason, &self.name, format!("key {} {what}", self.name))
    }
}

/// An object of the fields that a program reads and the record has.
fn project(scanned: Scanned<'_, '_>, places: &[(Arc<str>, usize)]) -> Value {
    let mut members = Map::default();
    for (name, place) in places {
        if let Some(json) = scanned.fields.get(*place).copied().flatten() {
            members.insert(name.clone(), scan::parse(json));
        }
    }
    Value::object(members)
}

fn native(result: Result<Lazy<'_>, Fail>) -> Output<'_> {
    match result {
        Ok(value) => Output::One(value),
        Err(Fail::Nothing) => Output::None,
        Err(Fail::Error(message)) => Output::Error(message),
    }
}

/// An error counts also behind a first output: the program did fail.
fn interpreted<'a>(mut outputs: Vec<Result<Value, String>>) -> Output<'a> {
    match (outputs.pop(), outputs.len()) {
        (None, _) => Output::None,
        (Some(Err(message)), _) => Output::Error(message),
        (Some(Ok(value)), 0) => Output::One(Lazy::Value(value)),
        (Some(Ok(_)), _) => Output::Several,
    }
}

/// All outputs of a program as JSON, as the jq command prints them, or what stopped it after the outputs so far.
#[cfg(test)]
fn run_program(program: &str, compat: JqCompat, input: &str, steps: u64) -> (Vec<String>, Option<String>) {
    if compat == JqCompat::V16
        && let Err(reject) = scan::whole_surrogates(input)
    {
        return (Vec::new(), Some(reject.message));
    }
    number::with_doubles(compat == JqCompat::V16, || run_by_jaq(program, compat, input, steps))
}

#[cfg(test)]
fn run_by_jaq(program: &str, compat: JqCompat, input: &str, steps: u64) -> (Vec<String>, Option<String>) {
    let compiled = match check::parse(program).and_then(|_| Program::compile(program, compat)) {
        Ok(compiled) => compiled,
        Err(message) => return (Vec::new(), Some(message)),
    };
    let input = scan::parse(input);
    let run = budget::within(steps, || {
        let mut printed = Vec::new();
        for output in compiled.run(input, usize::MAX) {
            match output {
                Ok(value) => printed.push(value.to_json()),
                Err(message) => return (printed, Some(message)),
            }
        }
        (printed, None)
    });
    run.unwrap_or_else(|stopped| (Vec::new(), Some(format!("{stopped:?}"))))
}
