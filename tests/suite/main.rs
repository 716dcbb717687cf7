//! The integration suite: one binary, so that the SDK is linked once.

// The SDK's futures, nested in the saga's, nested in the proofs', are deeper than the default of 128.
#![recursion_limit = "256"]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be set up has failed the test"
)]

mod architecture;
mod audit;
mod bad_input;
mod causes;
mod console;
mod console_diagnosis;
mod faults;
#[cfg(target_os = "linux")]
mod kernel_lab;
mod killed;
mod killed_process;
mod load;
mod main_job;
mod moto;
mod policy;
mod region;
mod report;
mod serve;
mod shell;
mod support;
mod terraform;
mod watch;
mod wire_fuzz;
mod wire_truth;
mod witness;
mod witness_cli;
mod witness_moto;
mod world;
