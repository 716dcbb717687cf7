//! What the sandbox keeps, and how it refuses. The SDK itself is its client in the integration tests.

use super::sdk::path_and_query;
use super::*;
use crate::model::InstanceState;

fn options(state_file: Option<PathBuf>, scenario: Scenario) -> Options {
    let clock = Clock::manual(Timestamp::from_second(1_790_000_000).unwrap());
    Options { state_file, scenario: Some(scenario), clock, ..Options::default() }
}

fn with_faults(options: Options, faults: &[&str]) -> Options {
    Options {
        faults: faults.iter().map(|fault| fault.parse::<super::super::faults::Fault>().unwrap()).collect(),
        ..options
    }
}

/// One EC2 or IAM request, told apart by its version.
async fn ask(sandbox: &Sandbox, version: &str, form: &str) -> Result<Response, NoAnswer> {
    let body = format!("Version={version}&{form}");
    sandbox.answer("POST", "/", &[], body.as_bytes()).await
}

async fn ec2(sandbox: &Sandbox, form: &str) -> Result<Response, NoAnswer> {
    ask(sandbox, "2016-11-15", form).await
}

fn vpcs(sandbox: &Sandbox) -> usize {
    sandbox.with_world(|world| world.network.vpcs.shown().len()).unwrap()
}

#[test]
fn reads_are_told_by_their_first_word() {
    for read in ["DescribeVpcs", "GetCallerIdentity", "ListRoles", "GetCommandInvocation"] {
        assert!(is_read(read), "{read}");
    }
    for change in ["CreateVpc", "SendCommand", "TagRole", "RunInstances", "AttachRolePolicy"] {
        assert!(!is_read(change), "{change}");
    }
}

#[test]
fn the_path_is_what_follows_the_host() {
    assert_eq!(path_and_query("https://ec2.eu-central-1.amazonaws.com/"), "/");
    assert_eq!(path_and_query("https://ec2.eu-central-1.amazonaws.com"), "/");
    assert_eq!(path_and_query("http://localhost:4566/?Action=X"), "/?Action=X");
    assert_eq!(path_and_query("http://localhost?Action=X"), "?Action=X");
}

#[test]
fn each_service_refuses_in_its_own_words() {
    let code =
        |fate, service| refusal(fate, service, "X", "1").map(|error| (error.code, error.status)).unwrap_or_default();
    assert_eq!(code(Fate::Throttled, Service::Ec2), ("RequestLimitExceeded".to_owned(), 503));
    assert_eq!(code(Fate::Throttled, Service::Ssm), ("ThrottlingException".to_owned(), 400));
    assert_eq!(code(Fate::Throttled, Service::Iam), ("Throttling".to_owned(), 400));
    assert_eq!(code(Fate::Denied, Service::Ec2), ("UnauthorizedOperation".to_owned(), 403));
    assert_eq!(code(Fate::Denied, Service::Ssm), ("AccessDeniedException".to_owned(), 400));
    assert_eq!(code(Fate::Denied, Service::Iam), ("AccessDenied".to_owned(), 403));
    assert_eq!(refusal(Fate::AnswerLost, Service::Ec2, "X", "1"), None);
}

#[tokio::test]
async fn a_change_is_in_the_file_before_its_answer_and_a_read_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sandbox.json");
    let sandbox = Sandbox::open(options(Some(path.clone()), Scenario::Empty)).unwrap();
    let text = || std::fs::read_to_string(&path).unwrap();
    let before = text();
    assert_eq!(ec2(&sandbox, "Action=DescribeVpcs").await.unwrap().status, 200);
    assert_eq!(ec2(&sandbox, "Action=CreateVpc&CidrBlock=nonsense").await.unwrap().status, 400);
    assert_eq!(text(), before);
    assert_eq!(ec2(&sandbox, "Action=CreateVpc&CidrBlock=10.0.0.0/16").await.unwrap().status, 200);
    assert!(text().contains("10.0.0.0/16"), "a process killed now loses nothing");
}

#[tokio::test]
async fn a_kept_world_is_opened_again_whatever_the_default_scenario_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sandbox.json");
    let sandbox = Sandbox::open(options(Some(path.clone()), Scenario::Empty)).unwrap();
    ec2(&sandbox, "Action=CreateVpc&CidrBlock=10.0.0.0/16").await.unwrap();
    drop(sandbox);
    let again = Options { scenario: None, ..options(Some(path.clone()), Scenario::Empty) };
    let sandbox = Sandbox::open(again).unwrap();
    assert_eq!((vpcs(&sandbox), sandbox.scenario()), (1, Scenario::Empty));
    drop(sandbox);
    let error = Sandbox::open(options(Some(path), Scenario::Draft)).unwrap_err();
    assert!(error.to_string().contains("holds scenario empty, not draft"), "{error}");
}

#[tokio::test]
async fn a_lost_answer_was_carried_out_and_a_denied_one_was_not() {
    let lost = Sandbox::open(with_faults(options(None, Scenario::Empty), &["lost=100%"])).unwrap();
    assert!(matches!(ec2(&lost, "Action=CreateVpc&CidrBlock=10.0.0.0/16").await, Err(NoAnswer::Lost)));
    assert_eq!(vpcs(&lost), 1);

    let denied = Sandbox::open(with_faults(options(None, Scenario::Empty), &["deny=ec2:CreateVpc"])).unwrap();
    for form in ["Action=CreateVpc&CidrBlock=10.0.0.0/16", "Action=CreateVpc&CidrBlock=10.0.0.0/16&DryRun=true"] {
        let answer = ec2(&denied, form).await.unwrap();
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("<Code>UnauthorizedOperation</Code>"), "{}", answer.body);
    }
    assert_eq!(vpcs(&denied), 0);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_not_a_panic() {
    let sandbox = Sandbox::open(options(None, Scenario::Empty)).unwrap();
    for (headers, body) in [
        (vec![], b"".as_slice()),
        (vec![], b"\xff\xfe&&&=%zz".as_slice()),
        (vec![("X-Amz-Target".to_owned(), "AmazonSSM.SendCommand".to_owned())], b"not json".as_slice()),
        (vec![("X-Amz-Target".to_owned(), "AmazonSSM.SendCommand".to_owned())], b"[1]".as_slice()),
        (vec![("X-Amz-Target".to_owned(), "Other.Thing".to_owned())], b"{}".as_slice()),
    ] {
        let answer = sandbox.answer("POST", "/", &headers, body).await.unwrap();
        assert!((400..500).contains(&answer.status), "{}", answer.body);
    }
}

#[tokio::test]
async fn time_passes_with_the_clock_and_not_with_requests() {
    let sandbox = Sandbox::open(options(None, Scenario::Draft)).unwrap();
    let id =
        sandbox.with_world(|world| world.network.instances.shown().keys().next().map(str::to_owned)).unwrap().unwrap();
    ec2(&sandbox, &format!("Action=StopInstances&InstanceId.1={id}")).await.unwrap();
    let state = || sandbox.with_world(|world| world.network.instances.shown()[&id].state.clone()).unwrap();
    assert_eq!(state(), InstanceState::Stopping);
    assert_eq!(state(), InstanceState::Stopping);
    assert!(sandbox.clock().advance(Duration::from_secs(10)));
    assert_eq!(state(), InstanceState::Stopped);
}

#[tokio::test]
async fn latency_passes_before_an_answer_comes() {
    let sandbox = Sandbox::open(with_faults(options(None, Scenario::Empty), &["latency=40ms"])).unwrap();
    let started = std::time::Instant::now();
    ec2(&sandbox, "Action=DescribeVpcs").await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(40));
}
