//! The rules of the kernel and the two languages for them: iptables' and nft's.

mod convert;
mod iptables;
mod nft;
mod nft_json;
mod nft_rule;
mod save;
mod spec;
mod tables;

pub(super) use iptables::run as iptables;
pub(super) use nft::run as nft;
pub(super) use save::{restore, save};
