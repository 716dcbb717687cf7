//! The SDK, whole, against an AWS that is a function: what it is asked and how it answers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::*;
use crate::model::{CallOutcome, InstanceId, STACK, STEP, Tags};
use crate::plan::{Call, Output, Outputs, Step, StepId, StepState};

/// Status and body, or no answer at all.
type Answer = Option<(u16, String)>;
type Script = dyn Fn(&str, &str) -> Answer + Send + Sync;

/// An AWS for one test.
#[derive(Clone)]
struct Fake {
    script: Arc<Script>,
    /// The operations that arrived, in order.
    asked: Arc<Mutex<Vec<String>>>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    fn new(script: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), asked: Arc::default() }
    }

    fn asked(&self, operation: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == operation).count()
    }

    async fn session(&self, read_only: bool) -> Session {
        let sandbox = Some(SharedHttpClient::new(self.clone()));
        Session::connect(Target { read_only, sandbox, ..Target::default() }, CallLog::new()).await.unwrap()
    }
}

impl HttpClient for Fake {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Fake {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap();
        let of_query =
            form_urlencoded::parse(body.as_bytes()).find(|(key, _)| key == "Action").map(|(_, v)| v.into_owned());
        let target = request.headers().get("x-amz-target").and_then(|t| t.rsplit('.').next()).map(str::to_owned);
        let operation = target.or(of_query).unwrap_or_default();
        self.asked.lock().unwrap().push(operation.clone());
        HttpConnectorFuture::ready(match (self.script)(&operation, &body) {
            Some((status, body)) => Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))),
            None => Err(ConnectorError::io("the connection was reset".into())),
        })
    }
}

fn ok(body: &str) -> Answer {
    Some((200, body.to_owned()))
}

fn ec2_error(status: u16, code: &str) -> Answer {
    let xml = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>told &amp; why</Message></Error></Errors>\
         <RequestID>r-1</RequestID></Response>"
    );
    Some((status, xml))
}

const ONE_VPC: &str = "<DescribeVpcsResponse><vpcSet><item><vpcId>vpc-1</vpcId><state>available</state>\
    <cidrBlock>10.0.0.0/16</cidrBlock></item></vpcSet></DescribeVpcsResponse>";

fn step(call: Call) -> Step {
    Step {
        id: StepId::new("vpc"),
        title: String::new(),
        reason: String::new(),
        call,
        waits_for: Vec::new(),
        tags: Tags::from_iter([(STACK, "s"), (STEP, "vpc")]),
        state: StepState::ToDo,
        output: None,
    }
}

fn create_vpc() -> Step {
    step(Call::CreateVpc { cidr_block: "10.0.0.0/16".parse().unwrap() })
}

#[tokio::test]
async fn read_only_refuses_a_change_before_anything_is_sent() {
    let fake = Fake::new(|_, _| ok(ONE_VPC));
    let session = fake.session(true).await;
    let error = apply(&session, &create_vpc(), &Outputs::new(), "t", |_| {}).await.unwrap_err();
    assert!(error.is_read_only(), "{error:?}");
    assert!(fake.asked.lock().unwrap().is_empty());
    let calls = session.log().calls();
    assert!(matches!(calls[0].outcome, CallOutcome::Refused { .. }), "{:?}", calls[0]);
    assert!(session.log().actions().is_empty());
    let id = [InstanceId::new("i-1")];
    let error = run_command(&session, &id, "true", RunOptions::default(), |_, _| {}).await.unwrap_err();
    assert!(error.is_read_only(), "{error:?}");
}

#[tokio::test]
async fn the_log_counts_attempts_and_shows_the_cli_line() {
    let answers = Mutex::new(0);
    let fake = Fake::new(move |_, _| {
        let mut count = answers.lock().unwrap();
        *count += 1;
        if *count < 3 { ec2_error(503, "RequestLimitExceeded") } else { ok(ONE_VPC) }
    });
    let session = fake.session(true).await;
    inputs::require_vpc(&session, &crate::model::VpcId::new("vpc-1")).await.unwrap();
    let calls = session.log().calls();
    assert_eq!((calls.len(), calls[0].attempts), (1, 3));
    assert_eq!(calls[0].outcome, CallOutcome::Ok);
    assert_eq!(calls[0].aws_cli, "aws ec2 describe-vpcs --vpc-ids vpc-1 --region eu-central-1");
    assert_eq!(session.log().actions().into_iter().collect::<Vec<_>>(), ["ec2:DescribeVpcs"]);
}

#[tokio::test]
async fn an_error_is_told_apart_by_its_code() {
    for (status, code, kind) in [
        (403, "UnauthorizedOperation", Kind::Denied),
        (400, "InvalidVpcID.NotFound", Kind::NotFound),
        (400, "DependencyViolation", Kind::InUse),
        (400, "ExpiredToken", Kind::ExpiredCredentials),
        (401, "AuthFailure", Kind::InvalidCredentials),
        (400, "VpcLimitExceeded", Kind::Limit),
        (412, "DryRunOperation", Kind::DryRunOk),
        (400, "InvalidPermission.Duplicate", Kind::Duplicate),
        (400, "SomethingNew", Kind::Service),
    ] {
        let fake = Fake::new(move |_, _| ec2_error(status, code));
        let session = fake.session(false).await;
        let error = inputs::availability_zones(&session).await.unwrap_err();
        assert_eq!((error.kind.clone(), error.code.as_deref()), (kind, Some(code)));
        assert!(error.to_string().starts_with(&format!("DescribeAvailabilityZones: {code}: told & why")), "{error}");
        let logged = CallOutcome::Error { code: code.to_owned(), message: "told & why".to_owned() };
        assert_eq!(session.log().calls()[0].outcome, logged);
    }
}

#[tokio::test]
async fn rubbish_is_not_taken_for_an_empty_answer() {
    for body in ["<html>sign in</html>", "not xml", ""] {
        let fake = Fake::new(move |_, _| ok(body));
        let error = inputs::availability_zones(&fake.session(false).await).await.unwrap_err();
        assert_eq!(error.kind, Kind::BadAnswer, "{body}: {error:?}");
    }
    let fake = Fake::new(|_, _| Some((404, "<html>".to_owned())));
    let error = inputs::availability_zones(&fake.session(false).await).await.unwrap_err();
    assert_eq!(error.kind, Kind::BadAnswer);
    let told = "HTTP status 404 and no AWS error in '<html>'";
    assert!(error.to_string().contains(told), "{error}");
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_and_nothing_is_made_twice() {
    let fake = Fake::new(|operation, body| match operation {
        "CreateVpc" => None,
        "DescribeVpcs" if body.contains("natdeck%3Astep") => ok(ONE_VPC),
        "DescribeVpcs" => ok(ONE_VPC),
        other => panic!("{other}"),
    });
    let session = fake.session(false).await;
    let output = apply(&session, &create_vpc(), &Outputs::new(), "t", |_| {}).await.unwrap();
    assert_eq!(output, Output::Vpc(crate::model::VpcId::new("vpc-1")));
    assert_eq!(fake.asked("CreateVpc"), 1);
}

#[tokio::test]
async fn a_throttled_creation_is_sent_again() {
    let tries = Mutex::new(0);
    let fake = Fake::new(move |operation, _| match operation {
        "CreateVpc" => {
            *tries.lock().unwrap() += 1;
            if *tries.lock().unwrap() < 3 {
                return ec2_error(503, "RequestLimitExceeded");
            }
            ok("<CreateVpcResponse><vpc><vpcId>vpc-1</vpcId></vpc></CreateVpcResponse>")
        }
        _ => ok(ONE_VPC),
    });
    let session = fake.session(false).await;
    apply(&session, &create_vpc(), &Outputs::new(), "t", |_| {}).await.unwrap();
    assert_eq!(fake.asked("CreateVpc"), 3);
}

#[tokio::test]
async fn deleting_what_is_gone_succeeds() {
    let fake = Fake::new(|_, _| ec2_error(400, "InvalidVpcID.NotFound"));
    let call = Call::DeleteVpc { vpc: crate::model::VpcId::new("vpc-1") };
    apply(&fake.session(false).await, &step(call), &Outputs::new(), "t", |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_blocked_deletion_keeps_its_code() {
    let fake = Fake::new(|operation, _| match operation {
        "DeleteVpc" => ec2_error(400, "DependencyViolation"),
        _ => ok("<DescribeNetworkInterfacesResponse><networkInterfaceSet/></DescribeNetworkInterfacesResponse>"),
    });
    let call = Call::DeleteVpc { vpc: crate::model::VpcId::new("vpc-1") };
    let started = Instant::now();
    let error = apply(&fake.session(false).await, &step(call), &Outputs::new(), "t", |_| {}).await.unwrap_err();
    assert!(error.is_dependency_violation());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_dry_run_tells_what_is_denied() {
    let fake = Fake::new(|_, body| {
        assert!(body.contains("DryRun=true"), "{body}");
        ec2_error(403, "UnauthorizedOperation")
    });
    let answer = dry_run(&fake.session(false).await, &create_vpc(), &Outputs::new()).await.unwrap();
    assert!(matches!(answer, DryRun::Denied { action, .. } if action == "ec2:CreateVpc"));
}

#[tokio::test]
async fn what_could_not_be_observed_is_unknown_and_the_rest_is_known() {
    let fake = Fake::new(|operation, _| match operation {
        "DescribeVpcs" => ok(ONE_VPC),
        "DescribeRouteTables" => ec2_error(403, "UnauthorizedOperation"),
        "DescribeSubnets" => {
            ok("<DescribeSubnetsResponse><subnetSet><item><subnetId>subnet-1</subnetId><state>available</state></item>\
            <item><subnetId>subnet-2</subnetId><state>strange</state><vpcId>vpc-1</vpcId>\
            <availabilityZone>z</availabilityZone></item></subnetSet></DescribeSubnetsResponse>")
        }
        "DescribeInstanceInformation" => ok("{}"),
        "ListInstanceProfiles" => ok("<ListInstanceProfilesResponse><ListInstanceProfilesResult><InstanceProfiles/>\
            <IsTruncated>false</IsTruncated></ListInstanceProfilesResult></ListInstanceProfilesResponse>"),
        other => ok(&format!("<{other}Response/>")),
    });
    let session = fake.session(true).await;
    let network = observe(&session, &Scope::Region, None).await;
    let unknown = network.route_tables.gap().unwrap();
    assert_eq!(unknown.what, "DescribeRouteTables");
    assert!(unknown.reason.starts_with("UnauthorizedOperation: told & why"), "{}", unknown.reason);
    assert_eq!(network.vpcs.known().unwrap().len(), 1);
    assert!(network.instances.known().unwrap().is_empty());
    // One subnet lacks its VPC: it is left out and said so. The other has a state that nobody knows: kept.
    let subnets = network.subnets.known().unwrap();
    assert_eq!(subnets.keys().collect::<Vec<_>>(), ["subnet-2"]);
    assert_eq!(subnets["subnet-2"].state, "strange");
    let left_out = network.unknown.iter().find(|gap| gap.what == "DescribeSubnets subnet-1").unwrap();
    assert_eq!(left_out.reason, "AWS's answer has no VpcId");
    // A later failure still shows what was seen.
    let later = Fake::new(|_, _| ec2_error(403, "UnauthorizedOperation")).session(true).await;
    let later = observe(&later, &Scope::Region, Some(&network)).await;
    assert!(later.vpcs.known().is_err());
    assert_eq!(later.vpcs.shown().len(), 1);
}

#[tokio::test]
async fn one_unknown_instance_does_not_keep_the_others_from_running() {
    let fake = Fake::new(|operation, body| match operation {
        "SendCommand" if body.contains("i-bad") => {
            Some((400, r#"{"__type":"InvalidInstanceId","message":"not registered"}"#.to_owned()))
        }
        "SendCommand" => ok(r#"{"Command":{"CommandId":"c-1"}}"#),
        "ListCommandInvocations" => ok(r#"{"CommandInvocations":[{"InstanceId":"i-good","Status":"Success"}]}"#),
        "GetCommandInvocation" => ok(r#"{"InstanceId":"i-good","Status":"Success","StatusDetails":"Success",
            "ResponseCode":0,"StandardOutputContent":"198.51.100.7\n"}"#),
        other => panic!("{other}"),
    });
    let session = fake.session(false).await;
    let ids = [InstanceId::new("i-good"), InstanceId::new("i-bad")];
    let mut results = Vec::new();
    run_command(&session, &ids, "true", RunOptions::default(), |id, r| results.push((id, r))).await.unwrap();
    results.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(matches!(results[0].1, CommandResult::NotManaged { .. }));
    assert!(matches!(&results[1].1, CommandResult::Finished { stdout, .. } if stdout == "198.51.100.7\n"));
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_told_at_once() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target = Target {
        endpoint_url: Some(format!("http://127.0.0.1:{port}")),
        region: Some("eu-central-1".to_owned()),
        ..Target::default()
    };
    let session = Session::connect_with(target, CallLog::new(), Some(("AKID", "secret"))).await.unwrap();
    let started = Instant::now();
    let error = inputs::availability_zones(&session).await.unwrap_err();
    assert!(matches!(&error.kind, Kind::NoAnswer { .. }), "{error:?}");
    assert!(error.to_string().contains("the connection was refused"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(2));
}
