//! The benchmarks' own promises: that rows are compared, and that the pages say what was measured.

use std::process::Command;

use tests::{golden, root, tools};

/// An engine that is fast by being wrong must not win.
#[test]
fn a_value_that_an_engine_loses_is_seen() {
    tools::output(Command::new(tools::python("python")).arg(root().join("tests/bench/check_rows.py")));
}

#[test]
fn the_cost_page_is_what_the_figures_say() {
    let page = tools::output(Command::new(tools::python("python")).arg(root().join("tests/bench/cost.py")));
    golden::check("../../docs/cost.md", &page);
}
