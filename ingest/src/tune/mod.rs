//! `alluvium tune`: what other settings would come to, worked out from a sample.
//!
//! A sample ([`read`] raw objects, or [`logged`] in a lake's own log) is taken down as sizes and places under several [`layout`]s
//! ([`sample`]). Each setting is [`simulate`]d with the writer's own decisions; files' bytes come from a curve that the writer's own
//! encoder has drawn ([`sizes`]). What it comes to ([`trial`]) is priced ([`cost`]), a search walks to the cheapest setting that
//! keeps what was promised ([`recommend`]), and a [`report`] tells it.
//!
//! All but [`read`] is pure.

pub mod cost;
pub mod histogram;
pub mod layout;
pub mod logged;
pub mod read;
pub mod recommend;
pub mod report;
pub mod sample;
pub mod simulate;
pub mod sizes;
pub mod trial;
