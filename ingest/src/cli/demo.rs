//! `alluvium demo`: the main job on real events, from post to query.

use super::{CliError, DemoArgs};

/// Runs the demo in its folder.
pub async fn run(args: DemoArgs) -> Result<(), CliError> {
    Err(CliError::input(format!("{}: `demo` is not in this version", args.dir.display())))
}
