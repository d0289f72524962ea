//! What a key program may be: parsed, and bounded before it ever runs.
//!
//! See [`super::budget`] for why. A program is refused if it is too long, calls itself, or expands (its own definitions written
//! out where they are called) to more than [`TERMS_MAX`] terms or deeper than [`DEPTH_MAX`].

use std::rc::Rc;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::load::{Lexer, Parser, lex, span};
use jaq_core::path::Part;

/// Longest program in bytes (Firehose's limit for a whole query).
pub(crate) const PROGRAM_BYTES_MAX: usize = 5120;
/// Terms of an expanded program.
const TERMS_MAX: usize = 20_000;
/// Depth of an expanded program.
const DEPTH_MAX: usize = 200;

pub(crate) type Node<'a> = Term<&'a str>;

/// What an update counts for in depth: it goes down into the value, and what it calls runs at the bottom.
const UPDATE_DEPTH: usize = 40;

/// Functions that change what a path gives.
const UPDATES: [&str; 4] = ["del", "map_values", "walk", "pick"];

/// Parses a program and checks its bounds; else what is wrong and where.
pub(crate) fn parse(program: &str) -> Result<Node<'_>, String> {
    if program.len() > PROGRAM_BYTES_MAX {
        return Err(format!("program has {} bytes: at most {PROGRAM_BYTES_MAX} are allowed", program.len()));
    }
    let tokens = Lexer::new(program).lex().map_err(|errors| lex_message(program, &errors))?;
    let term = Parser::new(&tokens).parse(|p| p.term()).map_err(|errors| match errors.first() {
        Some((expected, found)) => {
            let found = lex::Token::opt_as_str(*found, program);
            syntax(program, expected.as_str(), found)
        }
        None => "program does not parse".to_string(),
    })?;
    Expansion::default().walk(&term, &None, 0)?;
    if contains(&term, &is_fold) && contains(&term, &is_update) {
        return Err("updates (`|=`, `del`, ...) and `reduce` or `foreach` in one program are not supported: a key \
                    is worked out, not edited"
            .to_string());
    }
    Ok(term)
}

fn lex_message(program: &str, errors: &[lex::Error<&str>]) -> String {
    errors.first().map_or_else(
        || "program does not parse".to_string(),
        |(expected, found)| syntax(program, expected.as_str(), found),
    )
}

fn syntax(program: &str, expected: &str, found: &str) -> String {
    if program.trim().is_empty() {
        return "program is empty: write a path such as `.attribute_name`".to_string();
    }
    if found.starts_with('\'') {
        return "strings are written with double quotes in jq, not with `'`".to_string();
    }
    let at = span(program, found).start;
    let rest: String = found.chars().take(20).collect();
    match rest.is_empty() {
        true => format!("program ends where {expected} is expected"),
        false => format!("`{rest}` at offset {at}: {expected} is expected"),
    }
}

/// The parts of a term that are terms; the bodies of definitions and what follows them included.
pub(crate) fn children<'t, 's>(term: &'t Node<'s>) -> Vec<&'t Node<'s>> {
    let mut all = Vec::new();
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Var(_) | Term::Break(_) | Term::Arr(None) => {}
        Term::Str(_, parts) => all.extend(parts.iter().filter_map(|part| match part {
            StrPart::Term(term) => Some(term),
            _ => None,
        })),
        Term::Arr(Some(inner)) | Term::Neg(inner) | Term::Label(_, inner) => all.push(&**inner),
        Term::Obj(members) => members.iter().for_each(|(name, value)| {
            all.push(name);
            all.extend(value);
        }),
        Term::BinOp(left, op, right) => {
            all.extend([&**left, &**right]);
            if let BinaryOp::Pipe(Some(pattern)) = op {
                pattern_terms(pattern, &mut all);
            }
        }
        Term::Fold(_, over, pattern, args) => {
            all.push(&**over);
            pattern_terms(pattern, &mut all);
            all.extend(args);
        }
        Term::TryCatch(body, handler) => {
            all.push(&**body);
            all.extend(handler.as_deref());
        }
        Term::IfThenElse(branches, otherwise) => {
            branches.iter().for_each(|(test, then)| all.extend([test, then]));
            all.extend(otherwise.as_deref());
        }
        Term::Def(defs, rest) => {
            all.extend(defs.iter().map(|def| &def.body));
            all.push(&**rest);
        }
        Term::Call(_, args) => all.extend(args),
        Term::Path(of, path) => {
            all.push(&**of);
            for (part, _) in &path.0 {
                match part {
                    Part::Index(index) => all.push(index),
                    Part::Range(from, to) => all.extend(from.iter().chain(to)),
                }
            }
        }
    }
    all
}

fn pattern_terms<'t, 's>(pattern: &'t Pattern<&'s str>, all: &mut Vec<&'t Node<'s>>) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(items) => items.iter().for_each(|item| pattern_terms(item, all)),
        Pattern::Obj(members) => members.iter().for_each(|(name, item)| {
            all.push(name);
            pattern_terms(item, all);
        }),
    }
}

fn contains<'s>(term: &Node<'s>, is: &dyn Fn(&Node<'s>) -> bool) -> bool {
    is(term) || children(term).into_iter().any(|child| contains(child, is))
}

fn is_fold(term: &Node<'_>) -> bool {
    matches!(term, Term::Fold(..))
}

/// Does it change what a path gives?
pub(crate) fn is_update(term: &Node<'_>) -> bool {
    match term {
        Term::BinOp(_, op, _) => {
            matches!(op, BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt)
        }
        Term::Call(name, _) => UPDATES.contains(name),
        _ => false,
    }
}

/// What an argument of a definition costs where it is used.
#[derive(Clone, Copy)]
struct Cost {
    terms: usize,
    depth: usize,
}

enum Binding<'t, 's> {
    Def(&'t Def<&'s str>),
    Argument(Cost),
}

type Scope<'t, 's> = Option<Rc<Frame<'t, 's>>>;

struct Frame<'t, 's> {
    name: &'s str,
    arity: usize,
    binding: Binding<'t, 's>,
    outer: Scope<'t, 's>,
}

fn lookup<'f, 't, 's>(scope: &'f Scope<'t, 's>, name: &str, arity: usize) -> Option<&'f Rc<Frame<'t, 's>>> {
    let mut frame = scope.as_ref();
    while let Some(current) = frame {
        if current.name == name && current.arity == arity {
            return Some(current);
        }
        frame = current.outer.as_ref();
    }
    None
}

fn bind<'t, 's>(name: &'s str, arity: usize, binding: Binding<'t, 's>, outer: Scope<'t, 's>) -> Scope<'t, 's> {
    Some(Rc::new(Frame { name, arity, binding, outer }))
}

/// The expansion of a program on paper.
#[derive(Default)]
struct Expansion {
    terms: usize,
    /// Definitions that are being expanded.
    active: Vec<*const ()>,
}

impl Expansion {
    fn spend(&mut self, terms: usize, depth: usize) -> Result<(), String> {
        self.terms = self.terms.saturating_add(terms);
        if self.terms > TERMS_MAX || depth > DEPTH_MAX {
            return Err(format!(
                "program is too large: with its definitions written out it has more than {TERMS_MAX} terms or nests deeper \
                 than {DEPTH_MAX}"
            ));
        }
        Ok(())
    }

    /// The greatest depth below (and with) a term that stands at `level`.
    fn walk<'t, 's>(&mut self, term: &'t Node<'s>, scope: &Scope<'t, 's>, level: usize) -> Result<usize, String> {
        self.spend(1, level)?;
        let weight = if is_update(term) { UPDATE_DEPTH } else { 1 };
        match term {
            Term::Def(defs, rest) => {
                let mut inner = scope.clone();
                for def in defs {
                    inner = bind(def.name, def.args.len(), Binding::Def(def), inner);
                }
                Ok(1 + self.walk(rest, &inner, level + 1)?)
            }
            Term::Call(name, args) => self.call(name, args, scope, level + weight - 1),
            _ => {
                let mut depth = 0;
                for child in children(term) {
                    depth = depth.max(self.walk(child, scope, level + weight)?);
                }
                Ok(weight + depth)
            }
        }
    }

    fn call<'t, 's>(
        &mut self,
        name: &'s str,
        args: &'t [Node<'s>],
        scope: &Scope<'t, 's>,
        level: usize,
    ) -> Result<usize, String> {
        let mut costs = Vec::with_capacity(args.len());
        for arg in args {
            let before = self.terms;
            let depth = self.walk(arg, scope, level + 1)?;
            costs.push(Cost { terms: self.terms - before, depth });
        }
        let below = costs.iter().map(|cost| cost.depth).max().unwrap_or(0);
        let Some(frame) = lookup(scope, name, args.len()).cloned() else {
            let weight = if UPDATES.contains(&name) { UPDATE_DEPTH } else { 1 };
            return Ok(weight + below);
        };
        match &frame.binding {
            Binding::Argument(cost) => {
                self.spend(cost.terms, level + cost.depth)?;
                Ok(1 + cost.depth)
            }
            Binding::Def(def) => {
                let id = std::ptr::from_ref(*def).cast();
                if self.active.contains(&id) {
                    return Err(format!(
                        "`{name}` calls itself: recursion is not supported, a key must end for every record"
                    ));
                }
                let mut inner: Scope<'t, 's> = Some(frame.clone());
                for (arg, cost) in def.args.iter().zip(&costs) {
                    inner = bind(arg.trim_start_matches('$'), 0, Binding::Argument(*cost), inner);
                }
                self.active.push(id);
                let depth = self.walk(&def.body, &inner, level + 1)?;
                self.active.pop();
                Ok(1 + depth)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(program: &str) -> String {
        parse(program).expect_err(program)
    }

    #[test]
    fn recursion_is_refused_however_it_is_hidden() {
        for program in [
            "def f: f; f",
            "def f: 1 + f; f",
            "def f(g): f(g | g); f(.)",
            "def f: def g: f; g; f",
            "def f($x): if $x > 0 then f($x - 1) else 1 end; f(3)",
        ] {
            assert!(refused(program).contains("calls itself"), "{program}");
        }
        assert!(parse("def f(g): g | g; f(f(.a))").is_ok());
        assert!(parse("def f: 1; def f: f + 1; f").is_err_and(|e| e.contains("calls itself")));
    }

    #[test]
    fn definitions_that_multiply_are_refused() {
        let doubling: String = (1..30).map(|i| format!("def f{i}: f{0}, f{0};", i - 1)).collect();
        assert!(refused(&format!("def f0: .; {doubling} f29")).contains("too large"));
        let nesting: String = (1..30).map(|i| format!("def f{i}(g): f{0}(f{0}(g));", i - 1)).collect();
        assert!(refused(&format!("def f0(g): [g]; {nesting} f29(.)")).contains("too large"));
        assert!(refused(&vec!["1"; 300].join("+")).contains("too large"));
        let walks = |n: usize| format!("{}.{}", "walk(".repeat(n), ")".repeat(n));
        assert!(parse(&walks(4)).is_ok() && refused(&walks(6)).contains("too large"));
        assert!(refused("def f(g): walk(g); f(f(f(f(f(f(.))))))").contains("too large"));
    }

    #[test]
    fn messages_say_where_and_what() {
        assert_eq!(refused(""), "program is empty: write a path such as `.attribute_name`");
        assert_eq!(refused("'a'"), "strings are written with double quotes in jq, not with `'`");
        assert_eq!(refused(".a |"), "program ends where term is expected");
        assert!(refused(".a )").contains("offset 3"), "{}", refused(".a )"));
        assert_eq!(refused("\"abc"), "program ends where closing quote is expected");
        assert!(refused(&".".repeat(6000)).contains("6000 bytes"));
    }
}
