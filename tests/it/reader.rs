//! `alluvium-reader` over lakes that `alluvium` wrote: what it answers is what the logs say, and nothing that is asked of it makes it
//! read, or show, anything else.

mod answers;
mod document;
mod hostile;
mod lake;
mod logged;
mod order;
mod s3;
mod who;

pub(crate) use lake::Asked;
