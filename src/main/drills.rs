//! Drills for the console: how a sandbox is broken on purpose, be it in this process or served by another.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use natdeck::model::InstanceId;
use natdeck::reach::Cause;
use natdeck::sandbox::causes::{self, BreakError, Scene};
use natdeck::sandbox::{Remote, Sandbox, SandboxError};
use natdeck::tui::{Broken, Drill, DrillGround, Failure};

use super::shells::Shells;

/// What can be broken. `None`: AWS is not.
pub fn ground(shells: &Shells) -> Option<Arc<dyn DrillGround>> {
    match shells {
        Shells::Aws => None,
        Shells::Own(sandbox) => Some(Arc::new(Own(sandbox.clone()))),
        Shells::Served(remote) => Some(Arc::new(Served(remote.clone()))),
    }
}

fn failure(cause: Option<Cause>, reason: &dyn std::error::Error) -> Failure {
    let what = cause.map_or_else(|| "break egress".to_owned(), |cause| format!("break egress by {cause}"));
    Failure::new(what, reason.to_string())
}

fn drill(cause: Cause) -> Drill {
    Drill { cause, does: causes::about(cause).to_owned() }
}

/// The sandbox of this process.
struct Own(Sandbox);

/// Why a drill did not begin.
#[derive(Debug, thiserror::Error)]
enum NotBroken {
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Cause(#[from] BreakError),
    #[error("it ended in a defect: {0}")]
    Defect(#[from] tokio::task::JoinError),
}

impl Own {
    /// Away from the threads that answer: booting a simulated host takes a moment.
    async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Sandbox) -> Result<T, NotBroken> + Send + 'static,
    ) -> Result<T, NotBroken> {
        let sandbox = self.0.clone();
        tokio::task::spawn_blocking(move || act(&sandbox)).await?
    }
}

impl DrillGround for Own {
    fn list(&self, instance_id: Option<InstanceId>) -> BoxFuture<'_, Result<Vec<Drill>, Failure>> {
        async move {
            let tried = self.with(move |sandbox| {
                let world = sandbox.with_world(|world| world.clone())?;
                // Without a scene nothing at all can be broken, and that is what to say.
                Scene::find(&world, instance_id.as_ref())?;
                let fits = |cause: &Cause| {
                    causes::possible(*cause)
                        && causes::break_egress(&mut world.clone(), *cause, instance_id.as_ref()).is_ok()
                };
                Ok(Cause::ALL.iter().copied().filter(fits).map(drill).collect())
            });
            tried.await.map_err(|error| failure(None, &error))
        }
        .boxed()
    }

    fn break_egress(&self, cause: Cause, instance_id: Option<InstanceId>) -> BoxFuture<'_, Result<Broken, Failure>> {
        async move {
            let broken = self.with(move |sandbox| {
                let broken = sandbox.with_world(|world| -> Result<Broken, BreakError> {
                    let client = Scene::find(world, instance_id.as_ref())?.client;
                    // On a copy, so that what cannot be had here leaves nothing behind.
                    let mut copy = world.clone();
                    let said = causes::break_egress(&mut copy, cause, Some(&client))?;
                    *world = copy;
                    Ok(Broken { cause, instance_id: Some(client), said })
                })?;
                Ok(broken?)
            });
            broken.await.map_err(|error| failure(Some(cause), &error))
        }
        .boxed()
    }
}

/// A sandbox that another process serves: whether a cause can be had there shows when it is tried.
struct Served(Remote);

impl DrillGround for Served {
    fn list(&self, _: Option<InstanceId>) -> BoxFuture<'_, Result<Vec<Drill>, Failure>> {
        let possible = Cause::ALL.iter().copied().filter(|cause| causes::possible(*cause));
        let drills = possible.map(drill).collect();
        async move { Ok(drills) }.boxed()
    }

    fn break_egress(&self, cause: Cause, instance_id: Option<InstanceId>) -> BoxFuture<'_, Result<Broken, Failure>> {
        async move {
            let said = self.0.break_egress(cause, instance_id.as_ref()).await;
            let said = said.map_err(|error| failure(Some(cause), &error))?;
            Ok(Broken { cause, instance_id, said })
        }
        .boxed()
    }
}
