//! The integration suite: one binary, so that the SDK is linked once.

mod architecture;
mod bad_input;
mod main_job;
mod support;
