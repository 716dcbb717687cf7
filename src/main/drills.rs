//! Drills for the console: how a sandbox is broken on purpose, be it in this process or served by another.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use natdeck::model::InstanceId;
use natdeck::reach::Cause;
use natdeck::sandbox::causes::{self, BreakError};
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
                let breakable = causes::breakable(&world, instance_id.as_ref())?;
                Ok(breakable.into_iter().map(drill).collect())
            });
            tried.await.map_err(|error| failure(None, &error))
        }
        .boxed()
    }

    fn break_egress(&self, cause: Cause, instance_id: Option<InstanceId>) -> BoxFuture<'_, Result<Broken, Failure>> {
        async move {
            let broken = self.with(move |sandbox| {
                let (client, said) =
                    sandbox.with_world(|world| causes::break_egress(world, cause, instance_id.as_ref()))??;
                Ok(Broken { cause, instance_id: Some(client), said })
            });
            broken.await.map_err(|error| failure(Some(cause), &error))
        }
        .boxed()
    }
}

/// A sandbox that another process serves.
struct Served(Remote);

impl DrillGround for Served {
    fn list(&self, instance_id: Option<InstanceId>) -> BoxFuture<'_, Result<Vec<Drill>, Failure>> {
        async move {
            let breakable = self.0.breakable(instance_id.as_ref()).await;
            let breakable = breakable.map_err(|error| failure(None, &error))?;
            Ok(breakable.into_iter().map(drill).collect())
        }
        .boxed()
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
