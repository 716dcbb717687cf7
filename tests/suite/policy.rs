//! What natdeck may and may not do: the least policy is exactly what it was seen to use, a missing permission shows
//! before anything exists, and read-only lets nothing out that changes anything.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aws_sdk_ec2::types::{IpPermission, PrefixListId};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use natdeck::aws::policy::{CHANGES, IMPLIED};
use natdeck::aws::{self, CallLog, Kind, RunOptions, Session, Target, guard, inputs};
use natdeck::model::{AclAction, AclDirection, AclEntry, CallOutcome, Network, Protocol, Tags};
use natdeck::ops::{self, Change, Ended};
use natdeck::plan::{
    Call, ImageSource, IngressRule, Output, Outputs, Plan, RepairCall, RulePeer, Spec, Step, StepId, StepState,
    Topology,
};
use natdeck::saga::RunMode;
use natdeck::sandbox::world::Delays;
use natdeck::sandbox::{Options, Sandbox, Scenario};
use serde_json::Value;

use super::support::Home;

fn sandbox(scenario: Scenario) -> Sandbox {
    let sandbox = Sandbox::open(Options { scenario: Some(scenario), ..Options::default() }).unwrap();
    sandbox
        .with_world(|world| {
            world.delays = Delays::instant();
            world.ssm.time_scale = 0.0;
        })
        .unwrap();
    sandbox
}

async fn session(http: SharedHttpClient, log: &CallLog, read_only: bool) -> Session {
    let lag = Some(std::time::Duration::ZERO);
    let target = Target { sandbox: Some(http), lag, read_only, ..Target::default() };
    Session::connect(target, log.clone()).await.unwrap()
}

/// Plans and builds; the plan, and what its steps have left.
async fn build(session: &Session, spec: &Spec) -> (Plan, Outputs) {
    let network = ops::observe(session, None, None).await;
    let plan = ops::plan_provision(session, spec, &network).await.unwrap();
    assert_eq!(ops::preflight(session, &plan).await.unwrap(), []);
    let state = tempfile::tempdir().unwrap();
    let mut change = Change::begin(session, state.path(), &plan).unwrap();
    let ended = change.run(RunMode::All, &mut |_| {}).await.unwrap();
    assert!(matches!(ended, Ended::Finished), "{ended:?}");
    let outputs = change.outputs();
    change.close().unwrap();
    (plan, outputs)
}

/// Plans and removes; the plan.
async fn remove(session: &Session, spec: &Spec) -> Plan {
    let network = ops::observe(session, None, None).await;
    let plan = ops::plan_teardown(&spec.name, &network).unwrap();
    assert_eq!(ops::preflight(session, &plan).await.unwrap(), []);
    let state = tempfile::tempdir().unwrap();
    let mut change = Change::begin(session, state.path(), &plan).unwrap();
    let ended = change.run(RunMode::All, &mut |_| {}).await.unwrap();
    assert!(matches!(ended, Ended::Finished), "{ended:?}");
    plan
}

/// Everything that natdeck does with one world.
async fn whole_job(log: &CallLog, scenario: Scenario, spec: Spec) {
    let sandbox = sandbox(scenario);
    if scenario == Scenario::Draft {
        live_before(&sandbox).await;
    }
    if let Some(name) = &spec.key_name {
        somebody_else(&sandbox).create_key_pair().key_name(name).send().await.unwrap();
    }
    let session = session(sandbox.http_client(), log, false).await;
    session.caller_identity().await.unwrap();
    let (plan, outputs) = build(&session, &spec).await;
    for step in plan.to_do() {
        // What a resumed run asks of a step in doubt.
        let found = aws::check(&session, step, &outputs, "").await.unwrap();
        assert!(found.is_some() || !step.call.changes(), "{} is found again", step.id);
    }
    let network = ops::observe(&session, None, None).await;
    let vpc = network.vpcs.shown().values().find(|vpc| vpc.tags.stack().is_some() || scenario == Scenario::Draft);
    let vpc_id = vpc.unwrap().vpc_id.clone();
    ops::observe(&session, Some(&vpc_id), Some(&network)).await;
    inputs::require_vpc(&session, &vpc_id).await.unwrap();
    let chosen = ops::choose(&network, &[], None).unwrap();
    inputs::require_instance(&session, &chosen[0].instance_id).await.unwrap();
    let report = ops::check(&session, &network, &chosen, &mut |_| {}).await;
    assert_eq!(report.overall(), ops::Overall::Ok, "{report:?}");
    assert!(ops::plan_provision(&session, &spec, &network).await.unwrap().is_empty());
    if scenario == Scenario::Draft {
        Box::pin(repairs(&session, &network)).await;
    }
    remove(&session, &spec).await;

    // The same once more, taken back by its own undo.
    let network = ops::observe(&session, None, None).await;
    let plan = ops::plan_provision(&session, &spec, &network).await.unwrap();
    let state = tempfile::tempdir().unwrap();
    let mut change = Change::begin(&session, state.path(), &plan).unwrap();
    let ended = change.run(RunMode::All, &mut |_| {}).await.unwrap();
    assert!(matches!(ended, Ended::Finished), "{ended:?}");
    let ended = change.undo_all(&mut |_| {}).await.unwrap();
    assert!(matches!(ended, Ended::Undone), "{ended:?}");
}

/// The subnet that a repair exempts from VPC Block Public Access.
fn excluded(network: &Network) -> natdeck::model::SubnetId {
    network.subnets.shown().values().next().unwrap().subnet_id.clone()
}

/// What only repairs do.
fn repair_steps(network: &Network) -> Vec<Step> {
    let nat = network.instances.shown().values().find(|i| i.tags.stack().is_some()).unwrap();
    let acl = network.network_acls.shown().values().next().unwrap();
    let entry = AclEntry {
        rule_number: 7,
        direction: AclDirection::Egress,
        action: AclAction::Allow,
        protocol: Protocol::Tcp,
        cidr_block: Some("203.0.113.0/24".parse().unwrap()),
        ipv6_cidr_block: None,
        port_range: Some((443, 443)),
        icmp_type_code: None,
    };
    let rule = IngressRule {
        protocol: Protocol::Tcp,
        ports: Some((443, 443)),
        peer: RulePeer::Ipv4("203.0.113.0/24".parse().unwrap()),
        description: String::new(),
    };
    let group = nat.security_group_ids[0].clone();
    let calls = [
        RepairCall::CreateBlockPublicAccessExclusion { subnet: excluded(network) },
        RepairCall::CreateNetworkAclEntry { network_acl: acl.network_acl_id.clone(), entry },
        RepairCall::AuthorizeSecurityGroupEgress { group, rule },
        RepairCall::RebootInstances { instance: nat.instance_id.clone() },
        RepairCall::StartInstances { instance: nat.instance_id.clone() },
    ];
    let step = |call: RepairCall| Step {
        id: StepId::new(format!("repair-{}", call.operation())),
        title: String::new(),
        reason: String::new(),
        call: Call::Repair(Box::new(call)),
        waits_for: Vec::new(),
        tags: Tags::default(),
        state: StepState::ToDo,
        output: None,
    };
    calls.into_iter().map(step).collect()
}

/// Each made and taken back.
async fn repairs(session: &Session, network: &Network) {
    for step in repair_steps(network) {
        let allowed = Box::pin(aws::dry_run(session, &step, &Outputs::new())).await.unwrap();
        assert_eq!(allowed, aws::DryRun::Allowed, "{step:?}");
        Box::pin(aws::apply(session, &step, &Outputs::new(), "", |_| {})).await.unwrap();
        Box::pin(aws::undo(session, &step, &Output::None, &Outputs::new())).await.unwrap();
    }
}

/// The account's other users.
fn somebody_else(sandbox: &Sandbox) -> aws_sdk_ec2::Client {
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(aws_sdk_ec2::config::BehaviorVersion::latest())
        .region(aws_sdk_ec2::config::Region::new("eu-central-1"))
        .credentials_provider(aws_sdk_ec2::config::Credentials::new("other", "other", None, None, "test"))
        .http_client(sandbox.http_client())
        .build();
    aws_sdk_ec2::Client::from_conf(config)
}

/// What others did before: the private subnet's default route leads to a NAT gateway, and a group lets a prefix list
/// in, and VPC Block Public Access is on with an exclusion.
async fn live_before(sandbox: &Sandbox) {
    let ec2 = somebody_else(sandbox);
    let (subnet, table, group) = sandbox
        .with_world(|world| {
            let network = &world.network;
            let named = |tags: &Tags, part: &str| tags.name().is_some_and(|name| name.contains(part));
            let subnet = network.subnets.shown().values().find(|subnet| named(&subnet.tags, "public")).unwrap();
            let table = network.route_tables.shown().values().find(|table| named(&table.tags, "private")).unwrap();
            let group = network.security_groups.shown().values().find(|group| group.vpc_id == subnet.vpc_id).unwrap();
            (subnet.subnet_id.clone(), table.route_table_id.clone(), group.group_id.clone())
        })
        .unwrap();
    let address = ec2.allocate_address().send().await.unwrap().allocation_id.unwrap();
    let request = ec2.create_nat_gateway().subnet_id(subnet.as_str()).allocation_id(address);
    let gateway = request.send().await.unwrap().nat_gateway.unwrap().nat_gateway_id.unwrap();
    let route = ec2.create_route().route_table_id(table.as_str()).destination_cidr_block("0.0.0.0/0");
    route.nat_gateway_id(gateway).send().await.unwrap();
    let lists = ec2.describe_managed_prefix_lists().send().await.unwrap().prefix_lists.unwrap();
    let list = PrefixListId::builder().prefix_list_id(lists[0].prefix_list_id().unwrap()).build();
    let rule = IpPermission::builder().ip_protocol("-1").prefix_list_ids(list).build();
    // A region that blocks internet gateways, and this VPC exempt from it.
    let subnets = ec2.describe_subnets().subnet_ids(subnet.as_str()).send().await.unwrap().subnets.unwrap();
    let exclusion = ec2.create_vpc_block_public_access_exclusion().vpc_id(subnets[0].vpc_id().unwrap());
    let mode = aws_sdk_ec2::types::InternetGatewayExclusionMode::AllowBidirectional;
    exclusion.internet_gateway_exclusion_mode(mode).send().await.unwrap();
    let mode = aws_sdk_ec2::types::InternetGatewayBlockMode::BlockIngress;
    let request = ec2.modify_vpc_block_public_access_options().internet_gateway_block_mode(mode);
    request.send().await.unwrap();
    let request = ec2.authorize_security_group_ingress().group_id(group.as_str()).ip_permissions(rule);
    request.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_is_exactly_the_actions_that_natdeck_was_seen_to_use() {
    let log = CallLog::with_capacity(1_000_000);
    let image = {
        let session = session(sandbox(Scenario::Empty).http_client(), &log, false).await;
        let newest =
            ImageSource::Parameter("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64".to_owned());
        inputs::image(&session, &newest).await.unwrap()
    };
    let two = Spec {
        elastic_ip: true,
        key_name: Some("ops".to_owned()),
        ssh_cidr: Some("192.0.2.0/24".parse().unwrap()),
        ..Spec::default()
    };
    let one = Spec {
        topology: Topology::SingleInterface,
        ssm_endpoints: false,
        image: Some(image.to_string()),
        ..Spec::default()
    };
    Box::pin(whole_job(&log, Scenario::Empty, two)).await;
    Box::pin(whole_job(&log, Scenario::Empty, one)).await;
    Box::pin(whole_job(&log, Scenario::Draft, Spec::default())).await;

    let mut needed: BTreeSet<String> = log
        .calls()
        .iter()
        .filter(|call| call.outcome == CallOutcome::Ok)
        .map(|call| format!("{}:{}", call.service, call.operation))
        .collect();
    needed.extend(IMPLIED.iter().map(ToString::to_string));
    let policy = aws::iam_policy();
    let granted: BTreeSet<String> = policy["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|statement| statement["Action"].as_array().unwrap())
        .map(|action| action.as_str().unwrap().to_owned())
        .collect();
    let missing: Vec<_> = needed.difference(&granted).collect();
    let too_much: Vec<_> = granted.difference(&needed).collect();
    assert!(missing.is_empty() && too_much.is_empty(), "missing: {missing:?}, too much: {too_much:?}");
}

/// Remembers what goes out on the wire.
#[derive(Debug, Clone)]
struct Spy {
    inner: SharedHttpClient,
    sent: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Debug)]
struct SpyOnTheLine {
    inner: SharedHttpConnector,
    sent: Arc<Mutex<BTreeSet<String>>>,
}

impl HttpClient for Spy {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(SpyOnTheLine { inner, sent: Arc::clone(&self.sent) })
    }
}

impl HttpConnector for SpyOnTheLine {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().expect("a body in memory").to_vec();
        let of_query = form_urlencoded::parse(&body).find(|(key, _)| key == "Action").map(|(_, v)| v.into_owned());
        let target = request.headers().get("x-amz-target").and_then(|t| t.rsplit('.').next()).map(str::to_owned);
        self.sent.lock().unwrap().insert(target.or(of_query).expect("a request names its operation"));
        self.inner.call(request)
    }
}

/// What no plan here comes to.
fn more_calls() -> Vec<Call> {
    let resource = natdeck::model::ResourceId("rtb-0123456789abcdef0".to_owned());
    vec![Call::DeleteTags { resource, keys: vec!["natdeck:previous:0.0.0.0/0".to_owned()] }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_no_step_whatever_it_is_sends_anything_that_changes() {
    let mut refused = BTreeSet::new();
    let two = Spec { elastic_ip: true, ..Spec::default() };
    for (scenario, spec) in [(Scenario::Empty, two), (Scenario::Draft, Spec::default())] {
        let sandbox = sandbox(scenario);
        if scenario == Scenario::Draft {
            live_before(&sandbox).await;
        }
        let free = session(sandbox.http_client(), &CallLog::new(), false).await;
        let (provision, outputs) = Box::pin(build(&free, &spec)).await;
        let network = ops::observe(&free, None, None).await;
        let teardown = ops::plan_teardown(&spec.name, &network).unwrap();
        let more = more_calls().into_iter().map(|call| Step {
            id: StepId::new("more"),
            title: String::new(),
            reason: String::new(),
            call,
            waits_for: Vec::new(),
            tags: Tags::default(),
            state: StepState::ToDo,
            output: None,
        });
        let repairs = repair_steps(&network);
        // An undo asks which exclusion is the subnet's before it deletes it.
        let exclusion = somebody_else(&sandbox).create_vpc_block_public_access_exclusion();
        let mode = aws_sdk_ec2::types::InternetGatewayExclusionMode::AllowBidirectional;
        let exclusion = exclusion.subnet_id(excluded(&network).as_str()).internet_gateway_exclusion_mode(mode);
        exclusion.send().await.unwrap();
        let steps: Vec<Step> = provision.steps.into_iter().chain(teardown.steps).chain(more).chain(repairs).collect();

        let sent = Arc::default();
        let spy = Spy { inner: sandbox.http_client(), sent: Arc::clone(&sent) };
        let log = CallLog::with_capacity(1_000_000);
        let bound = session(SharedHttpClient::new(spy), &log, true).await;
        let before = sandbox.with_world(|world| world.network.clone()).unwrap();
        for step in &steps {
            let name = &step.id;
            if !matches!(step.call, Call::CheckEgress { .. }) {
                let error = aws::apply(&bound, step, &outputs, "token", |_| {}).await.unwrap_err();
                assert_eq!(error.kind, Kind::ReadOnly, "apply of {name}: {error}");
            }
            if step.call.can_dry_run() {
                let error = aws::dry_run(&bound, step, &outputs).await.unwrap_err();
                assert_eq!(error.kind, Kind::ReadOnly, "dry run of {name}: {error}");
            }
            let output = outputs.get(name.as_str()).unwrap_or(&Output::None);
            if let Err(error) = aws::undo(&bound, step, output, &outputs).await {
                assert!(matches!(error.kind, Kind::ReadOnly | Kind::NotHere), "undo of {name}: {error}");
            }
        }
        let instances: Vec<_> = network.instances.shown().values().map(|i| i.instance_id.clone()).collect();
        let error = aws::run_command(&bound, &instances, "true", RunOptions::default(), |_, _| {}).await.unwrap_err();
        assert_eq!(error.kind, Kind::ReadOnly, "{error}");
        let report = ops::check(&bound, &network, &ops::choose(&network, &[], None).unwrap(), &mut |_| {}).await;
        assert_eq!(report.overall(), ops::Overall::CannotTest);

        let sent: Vec<String> = sent.lock().unwrap().iter().cloned().collect();
        assert!(!sent.is_empty(), "reads are let through");
        for operation in &sent {
            assert!(guard::READS.contains(&operation.as_str()), "{operation} reached the wire");
        }
        assert_eq!(sandbox.with_world(|world| world.network.clone()).unwrap(), before);
        let is_refused = |outcome: &CallOutcome| matches!(outcome, CallOutcome::Refused { .. });
        let calls = log.calls();
        let calls = calls.iter().filter(|call| is_refused(&call.outcome));
        refused.extend(calls.map(|call| format!("{}:{}", call.service, call.operation)));
    }
    let changes: BTreeSet<String> = CHANGES.iter().map(ToString::to_string).collect();
    assert_eq!(refused, changes, "every change that natdeck knows was tried");
}

/// The actions that the plan needs from this scenario: those that a dry run asks about, or the others.
async fn needed(scenario: Scenario, can_dry_run: bool) -> BTreeSet<String> {
    let session = session(sandbox(scenario).http_client(), &CallLog::new(), false).await;
    let network = ops::observe(&session, None, None).await;
    let plan = ops::plan_provision(&session, &Spec { elastic_ip: true, ..Spec::default() }, &network).await.unwrap();
    let steps = plan.to_do().filter(|step| step.call.can_dry_run() == can_dry_run);
    steps.map(|step| format!("{}:{}", step.service(), step.operation())).collect()
}

fn timeless_tree(home: &Home) -> Value {
    super::main_job::timeless(home.json(0, &["--sandbox", "tree", "--output", "json"]))
}

#[tokio::test]
async fn an_ec2_permission_that_is_missing_shows_before_anything_is_made() {
    for scenario in [Scenario::Draft, Scenario::Empty] {
        let actions = needed(scenario, true).await;
        assert!(actions.len() > 6, "{actions:?}");
        let home = Home::new();
        home.expect(0, &["--sandbox", "--scenario", scenario.name(), "tree"]);
        let before = timeless_tree(&home);
        for action in actions {
            let deny = format!("deny={action}");
            let ran = home.expect(2, &["--sandbox", "--sandbox-fault", &deny, "apply", "--yes", "--elastic-ip"]);
            assert!(ran.stderr.contains(&action), "{action} is named: {}", ran.stderr);
            assert!(ran.stderr.contains("none was begun"), "{}", ran.stderr);
        }
        assert_eq!(timeless_tree(&home), before, "nothing was made");
    }
}

#[tokio::test]
async fn a_permission_that_cannot_be_asked_about_is_named_when_it_is_missing_and_destroy_leaves_nothing() {
    let actions = needed(Scenario::Empty, false).await;
    assert!(actions.len() > 6, "{actions:?}");
    let home = Home::new();
    let sandbox = ["--sandbox", "--scenario", "empty"];
    for action in actions {
        let deny = format!("deny={action}");
        let ran = home.run(&[&sandbox[..], &["--sandbox-fault", &deny, "apply", "--yes"]].concat());
        assert_eq!(ran.code, 2, "{action}: {}", ran.stderr);
        assert!(ran.stderr.contains(&action), "{action} is named: {}", ran.stderr);
        home.expect(0, &[&sandbox[..], &["destroy", "--yes"]].concat());
        let file = home.path().join("state/natdeck/sandbox.json");
        let left = Sandbox::open(Options { state_file: Some(file), ..Options::default() }).unwrap();
        let left = left.with_world(|world| super::world::lines(world)).unwrap();
        assert_eq!(left, Vec::<String>::new(), "{action}: {}", ran.stderr);
    }
}
