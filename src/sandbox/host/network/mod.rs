//! `ip` and its older and newer relatives, over the simulated kernel.

mod ip;
mod link;
mod route;
mod rule;

pub(super) use ip::{ifconfig, ip, networkctl};
