//! An operator at a world: observes, diagnoses, checks and repairs through the SDK, as the command line does.

use jiff::Timestamp;
use natdeck::aws::{CallLog, Session, Target};
use natdeck::model::{InstanceId, Network};
use natdeck::ops::{self, CheckReport, Question};
use natdeck::plan::Repair;
use natdeck::reach::{Diagnosis, Finding};
use natdeck::saga::RunMode;
use natdeck::sandbox::clock::Clock;
use natdeck::sandbox::world::World;
use natdeck::sandbox::{Options, Sandbox, Scenario};
use tempfile::TempDir;

pub struct Operator {
    sandbox: Sandbox,
    session: Session,
    journals: TempDir,
}

/// What one look brought.
pub struct Seen {
    pub network: Network,
    pub said: Diagnosis,
}

impl Operator {
    /// Sits down at a world, in which everything happens at once.
    pub async fn at(world: World) -> Self {
        let start = world.now.max(Timestamp::from_second(1_790_001_000).unwrap());
        let options = Options {
            scenario: Some(Scenario::Empty),
            clock: Clock::stepping(start, std::time::Duration::from_millis(20)),
            time_scale: 0.0,
            ..Options::default()
        };
        let sandbox = Sandbox::open(options).unwrap();
        sandbox
            .with_world(|place| {
                let now = place.now;
                *place = world;
                place.advance(now);
            })
            .unwrap();
        let target =
            Target { sandbox: Some(sandbox.http_client()), lag: Some(sandbox.consistency()), ..Target::default() };
        let session = Session::connect(target, CallLog::new()).await.unwrap();
        Self { sandbox, session, journals: tempfile::tempdir().unwrap() }
    }

    /// The world as it is now, or a change behind AWS's back.
    pub fn world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        self.sandbox.with_world(act).unwrap()
    }

    /// The snapshot.
    pub async fn observe(&self) -> Network {
        ops::observe(&self.session, None, None).await
    }

    /// `natdeck diagnose`.
    pub async fn look(&self, client: &InstanceId) -> Seen {
        let network = self.observe().await;
        let (said, _) = ops::diagnose(&self.session, &network, &Question::egress(client.clone())).await;
        Seen { network, said }
    }

    /// `natdeck check` of one instance.
    pub async fn check(&self, client: &InstanceId) -> CheckReport {
        let network = self.observe().await;
        let chosen = ops::choose(&network, std::slice::from_ref(client), None).unwrap();
        ops::check(&self.session, &network, &chosen, &mut |_| {}).await
    }

    /// `f` on a finding: the repair as a saga of its own.
    pub async fn repair(&self, network: &Network, finding: &Finding, repair: &Repair) -> Result<(), String> {
        let stack = ops::stack_of(network, finding);
        let change = ops::begin_repair(&self.session, self.journals.path(), &stack, repair);
        let mut change = change.map_err(|error| error.to_string())?;
        let ended = change.run(RunMode::All, &mut |_| {}).await.map_err(|error| error.to_string())?;
        match ended {
            ops::Ended::Finished => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }
}
