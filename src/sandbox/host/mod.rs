//! The simulated Linux hosts of the sandbox. Pure: a host is a value; it has a virtual file system, a kernel (which *is*
//! [`crate::model::host::Host`]) and a shell, and nothing that it runs can reach the real machine.
//!
//! - [`Machine`]: one instance. [`Machine::boot`] brings up its interfaces and runs its user data,
//!   [`Machine::run`] runs a script as root, as SSM's `AWS-RunShellScript` does.
//! - [`Session`]: an interactive shell, [`Machine::enter`] runs what is typed in it before a [`Terminal`].
//! - [`Outside`]: what lies beyond the host's network cards. The world answers with the packet walk.
//! - `shell`: bash's grammar from brush-parser, evaluated here. `commands`: what is on the path.
//!   `netfilter` and `network`: the rules and routes of the kernel, and the tools' formats for them.
//!
//! Invariant: no module here names the standard library's file, process or network calls; a test greps for them.

mod boot;
mod cloud_init;
mod commands;
mod image;
mod machine;
mod metadata;
mod netfilter;
mod network;
mod nic;
mod outside;
mod packages;
mod services;
mod session;
mod shell;
mod sites;
mod strain;
mod sysctl;
mod terminal;
#[cfg(test)]
mod tests;
mod user_data;
mod vfs;

pub use boot::CloudInit;
pub use machine::{Flavour, Launch, Machine, Output};
pub use nic::Nic;
pub use outside::{HttpAnswer, HttpRequest, Nowhere, Outside, Reached, ResolveError};
pub use session::{Entered, Session};
pub use sites::{answer as answer_of_public_site, is_package_repository};
pub use terminal::{Interrupted, Stream, Terminal};
