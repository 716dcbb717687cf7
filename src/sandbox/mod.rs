//! An AWS inside the binary: EC2, IAM, STS and SSM with AWS's rules, behind the wire formats that the official SDK
//! speaks. Nothing here reads a clock, opens a socket or touches the real machine, unless the module says so.
//!
//! [`world::World`] is the state; [`actions`] are the API operations on it; [`wire`] decodes requests and encodes
//! answers.

pub mod actions;
pub mod causes;
pub mod clock;
pub mod connector;
pub mod faults;
pub mod host;
pub mod outside;
pub mod scenario;
pub mod server;
pub mod shell;
pub mod store;
pub mod wire;
pub mod world;

pub use connector::remote::{Remote, RemoteError};
pub use connector::{Options, Sandbox, SandboxError, Saving, default_state_file};
pub use faults::{Fault, Faults};
pub use scenario::Scenario;
pub use server::Server;
