//! A table written anew beside the live one: where it lies ([`places`]), whose it is ([`marker`]), whether all of the source is in it
//! ([`recount`], [`compare`]), and what the live one was made by ([`live`]).

pub mod compare;
pub mod live;
pub mod marker;
pub mod places;
pub mod recount;
