//! EC2, API version 2016-11-15.

use crate::model::PrefixList;
use crate::sandbox::wire::{ApiError, Body, Request};
use crate::sandbox::world::World;

/// Answers one EC2 request.
pub fn dispatch(_world: &mut World, request: &Request) -> Result<Body, ApiError> {
    Err(ApiError::invalid_action(&request.action))
}

/// The prefix lists that AWS keeps in every region.
pub fn aws_prefix_lists(_region: &str) -> Vec<PrefixList> {
    Vec::new()
}
