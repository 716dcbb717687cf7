//! natdeck: a terminal operations console for NAT instances on AWS.
//!
//! The map (ARCHITECTURE.md says more):
//!
//! - [`model`]: the nouns of the EC2 API, as one observation found them. Pure.
//! - [`reach`]: one packet and its reply through a snapshot, hop by hop. Pure.
//! - [`plan`]: what is wanted and what exists, to a list of typed steps. Pure.
//! - [`saga`]: runs steps with check, apply and undo, and journals before it acts. Knows no AWS.
//! - [`aws`]: the only place that names the SDK.
//! - [`sandbox`]: an AWS inside this program, behind the SDK's own `HttpClient`.
//! - [`ops`]: the use cases, shared by the command line and the console.
//! - [`cli`]: the headless commands.
//! - [`tui`]: the console.

pub mod aws;
pub mod cli;
pub mod model;
pub mod ops;
pub mod plan;
pub mod reach;
pub mod saga;
pub mod sandbox;
pub mod tui;
