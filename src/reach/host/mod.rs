//! What the kernel of one Linux host does with one packet: routing, reverse-path filter, netfilter, address
//! translation. Pure; knows nothing of AWS. The order and the rules are the kernel's (Documentation/networking/
//! ip-sysctl.rst, net/ipv4/{route,fib_frontend,ip_forward}.c, net/netfilter): the kernel lab is its referee.

mod fib;
mod netfilter;
mod pass;
mod ports;

pub(super) use netfilter::source_translations;
pub(super) use pass::{Connection, Line, Outcome, Passage, Problem, Stopped, Told, receive, send, source_for, tell};
pub(super) use ports::Ports;
