//! Seeing what there is.

use crate::aws::{self, Scope, Session};
use crate::model::{Network, VpcId};

/// One observation of a region, or of one VPC. What failed is unknown with a reason; what `earlier` saw of it is still
/// shown.
pub async fn observe(session: &Session, vpc: Option<&VpcId>, earlier: Option<&Network>) -> Network {
    let scope = vpc.map_or(Scope::Region, |id| Scope::Vpc(id.clone()));
    // On the heap: all the describe calls at once are a future that callers should not carry on their stacks.
    Box::pin(aws::observe(session, &scope, earlier)).await
}
