//! The integration suite: one binary, so that the SDK is linked once.

// The SDK's futures, nested in the saga's, nested in the proofs', are deeper than the default of 128.
#![recursion_limit = "256"]

mod architecture;
mod bad_input;
mod console;
mod killed;
mod main_job;
mod moto;
mod support;
