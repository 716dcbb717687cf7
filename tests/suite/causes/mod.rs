//! Causes in random worlds: what the diagnosis says must be what curl gets, and nothing healthy may be blamed.

mod audit;
mod random;
mod redaction;
mod sight;
mod table;
mod worlds;
