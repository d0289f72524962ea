//! What one evaluation of one key may cost.
//!
//! jaq has no limits of its own ("does not take countermeasures against any kind of resource exhaustion", its README) and no
//! hook that could stop it. Two things together bound it:
//!
//! - Before it runs ([`super::check`]): no recursion, and every program is expanded on paper, definitions in place, to at most a
//!   fixed number of terms and a fixed depth. So the interpreter's own stack is bounded by the text of the program.
//! - While it runs (here): each value that is cloned, built, compared or taken out of another one costs a step, each string and
//!   each text rendered costs a step per [`BYTES_PER_STEP`]. An interpreter without recursion can only go on for long by
//!   producing values, so steps bound time, and as nothing is allocated without being charged they bound memory.
//!
//! Most of the places that charge cannot fail (`Clone`, `Ord`), so an exhausted budget leaves the interpreter by unwinding
//! (`resume_unwind`: no panic message) up to [`within`]. A real panic of the interpreter ends there too, as an error of the key.
//! This needs `panic = "unwind"`, Rust's default.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Bytes of text that cost one step.
pub(crate) const BYTES_PER_STEP: usize = 32;

/// Bytes of a record that give one step more: a program that looks at every element of a large record is fine.
pub(crate) const RECORD_BYTES_PER_STEP: usize = 8;

/// Deepest nesting of a value that a program builds. A record has at most half of it.
pub(crate) const VALUE_DEPTH_MAX: usize = 256;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Travels up the stack when the budget is used up.
struct Exceeded;

/// Why an evaluation was stopped.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// More steps than allowed, or a value nested too deeply.
    Budget,
    /// The interpreter panicked.
    Panic(String),
}

/// Takes `steps` from the budget of the evaluation that runs on this thread.
#[inline]
pub(crate) fn charge(steps: usize) {
    LEFT.with(|left| match left.get().checked_sub(steps as u64) {
        Some(rest) => left.set(rest),
        None => exceed(),
    });
}

/// Takes what `bytes` of text cost.
#[inline]
pub(crate) fn charge_bytes(bytes: usize) {
    charge(1 + bytes / BYTES_PER_STEP);
}

/// Ends the evaluation that runs on this thread.
#[cold]
pub(crate) fn exceed() {
    // A second panic while unwinding would abort; what is dropped on the way out is free.
    if !std::thread::panicking() {
        resume_unwind(Box::new(Exceeded));
    }
}

/// Runs `evaluate` with at most `steps`.
pub(crate) fn within<T>(steps: u64, evaluate: impl FnOnce() -> T) -> Result<T, Stopped> {
    let before = LEFT.replace(steps);
    // Unwind safety: the values an evaluation touches are its own and are dropped with it.
    let result = catch_unwind(AssertUnwindSafe(evaluate));
    LEFT.set(before);
    result.map_err(|payload| {
        if payload.is::<Exceeded>() {
            return Stopped::Budget;
        }
        let text = payload.downcast_ref::<&str>().map(|s| (*s).to_string());
        Stopped::Panic(text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default())
    })
}

/// Does something whose cost the record itself bounds (reading it), free of charge.
pub(crate) fn free<T>(read: impl FnOnce() -> T) -> T {
    let before = LEFT.replace(u64::MAX);
    let result = read();
    LEFT.set(before);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spending_more_than_the_budget_stops_and_spending_it_does_not() {
        assert!(within(10, || charge(10)).is_ok());
        assert!(matches!(within(10, || charge(11)), Err(Stopped::Budget)));
    }

    #[test]
    fn an_inner_evaluation_does_not_change_the_outer_budget() {
        let left = within(10, || {
            let inner = within(3, || charge(4));
            assert!(matches!(inner, Err(Stopped::Budget)));
            charge(10);
        });
        assert!(left.is_ok());
    }
}
