//! Partition keys out of an event's content: jq programs, compiled once, one scalar each.

use schemas::problem::Problem;
use schemas::reject::Reject;

/// Limits of one evaluation of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Steps of the interpreter.
    pub steps: u64,
    /// Bytes of the value a key may have.
    pub value_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { steps: 100_000, value_bytes: 512 }
    }
}

/// The compiled keys of a table. Shared between threads.
#[derive(Debug)]
pub struct Keys {}

impl Keys {
    /// Compiles `name = program` pairs. `place` gives file and line of the n-th pair for problems.
    pub fn compile(
        _named: &[(String, String)],
        _budget: Budget,
        _place: &dyn Fn(usize) -> (String, Option<usize>),
    ) -> Result<Keys, Vec<Problem>> {
        Ok(Keys {})
    }

    /// The keys' values, in order, as the text that stands for the scalar. `values` is reused: cleared and filled.
    ///
    /// `record` is strict JSON (UTF-8, an object, nested no deeper than the limit): the decode stage has checked.
    pub fn evaluate(&self, _record: &[u8], _values: &mut Vec<String>) -> Result<(), Reject> {
        Ok(())
    }
}
