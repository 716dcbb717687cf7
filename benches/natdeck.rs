//! What must stay fast: one walk, a large tree, a frame over it, and observing a large region in process and over
//! loopback HTTP beside the bare SDK. `cargo bench`.

#![expect(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use natdeck::aws::{CallLog, Session, Target};
use natdeck::model::host::Hosts;
use natdeck::model::{
    Identity, InstanceId, InterfaceStatus, Network, NetworkInterface, NetworkInterfaceId, Tags, World,
};
use natdeck::ops;
use natdeck::reach::audit::{Asked, audit};
use natdeck::reach::{Flow, Observations, diagnose, walk};
use natdeck::sandbox::{Options, Sandbox, Scenario};
use natdeck::tui::keymap::Keymap;
use natdeck::tui::message::Message;
use natdeck::tui::model::{Model, Settings};
use natdeck::tui::theme::Theme;
use natdeck::tui::{effect::Generation, tree, update, view};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

#[path = "../tests/suite/region.rs"]
mod region;

/// The article's world with so many more interfaces in its private subnet.
fn sandbox(interfaces: u32) -> Sandbox {
    let sandbox =
        Sandbox::open(Options { scenario: Some(Scenario::Article), ..Options::default() }).expect("a sandbox");
    sandbox.with_world(|world| add_interfaces(&mut world.network, interfaces)).expect("room for interfaces");
    sandbox
}

fn add_interfaces(network: &mut Network, count: u32) {
    let model = network
        .network_interfaces
        .shown()
        .values()
        .find(|interface| interface.attachment.as_ref().is_some_and(|a| a.device_index == 1))
        .cloned()
        .expect("the NAT's second interface");
    for number in 0..count {
        let id = NetworkInterfaceId::new(format!("eni-{number:017x}"));
        let interface = NetworkInterface {
            network_interface_id: id.clone(),
            description: format!("interface {number}"),
            status: InterfaceStatus::Available,
            attachment: None,
            association: None,
            tags: Tags::from_iter([("Name", format!("workload-{number}"))]),
            ..model.clone()
        };
        network.network_interfaces.items_mut().insert(id.as_str().to_owned(), interface);
    }
}

fn client_of(network: &Network) -> InstanceId {
    let instance = network.instances.shown().values().find(|i| i.public_ip.is_none()).expect("a private instance");
    instance.instance_id.clone()
}

fn network_of(sandbox: &Sandbox) -> Network {
    sandbox.with_world(|world| world.network.clone()).expect("the network")
}

fn walking(criterion: &mut Criterion) {
    let network = network_of(&sandbox(0));
    let flow = Flow::https(client_of(&network), ops::OUTSIDE);
    criterion.bench_function("walk one flow", |bench| bench.iter(|| walk(&network, &Hosts::new(), &flow)));
}

/// A region with 2,000 private instances in 40 subnets behind one NAT.
fn diagnosing(criterion: &mut Criterion) {
    let healthy = region::region(2_000, 40);
    let mut broken = region::region(2_000, 40);
    let inner = region::inner(&broken.network).network_interface_id.clone();
    let interfaces = broken.network.network_interfaces.items_mut();
    interfaces.get_mut(inner.as_str()).expect("the NAT's inner interface").source_dest_check = true;
    for (name, world) in [("healthy", &healthy), ("broken", &broken)] {
        let flow = Flow::https(world.clients[1_234].clone(), ops::OUTSIDE);
        criterion.bench_function(&format!("diagnosis of one of 2,000 instances, {name}"), |bench| {
            bench.iter_batched(
                || {
                    // A snapshot that was just observed has no lookups yet.
                    let mut network = world.network.clone();
                    network.network_interfaces.items_mut();
                    network.route_tables.items_mut();
                    network
                },
                |network| diagnose(&network, &world.hosts, &flow, &Observations::default()),
                BatchSize::SmallInput,
            );
        });
        let asked = Asked { hosts: world.hosts.clone(), ..Asked::default() };
        criterion.bench_function(&format!("audit of 2,000 instances, {name}"), |bench| {
            bench.iter(|| audit(&world.network, &asked, &world.clients, ops::OUTSIDE));
        });
    }
}

fn model_over(network: Network) -> Model {
    let identity = Identity {
        world: World::Sandbox,
        region: "eu-central-1".into(),
        profile: None,
        account_id: Some("123456789012".into()),
        caller_arn: None,
        read_only: false,
    };
    let keymap = Arc::new(Keymap::built_in().expect("the built-in keymap"));
    let mut model = Model::new(identity, Settings::default(), keymap, Timestamp::UNIX_EPOCH);
    model.size = (200, 60);
    let effects = update::start(&mut model);
    let asked = effects.iter().find_map(|effect| match effect {
        natdeck::tui::effect::Effect::Observe { generation } => Some(*generation),
        _ => None,
    });
    let generation: Generation = asked.expect("the console looks first");
    update::update(&mut model, Message::Observed { generation, result: Ok(Box::new(network)) });
    model
}

fn drawing(criterion: &mut Criterion) {
    let mut network = network_of(&sandbox(0));
    add_interfaces(&mut network, 10_000);
    let seen = Arc::new(network.clone());
    criterion.bench_function("tree of 10,000 interfaces", |bench| {
        bench.iter(|| tree::build(&tree::Seen::new(seen.clone(), seen.clone())));
    });
    let model = model_over(network);
    let theme = Theme::from_env(Some("dark"), |_| None).expect("the dark theme");
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).expect("a terminal");
    criterion.bench_function("frame at 200x60 over 10,000 interfaces", |bench| {
        bench.iter(|| terminal.draw(|frame| view::view(&model, &theme, frame)).map(drop));
    });
}

/// Serves a sandbox on loopback, a thread a connection: enough HTTP/1.1 for the SDK.
fn serve(sandbox: Sandbox, runtime: tokio::runtime::Handle) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (sandbox, runtime) = (sandbox.clone(), runtime.clone());
            std::thread::spawn(move || while answer(&stream, &sandbox, &runtime).is_some() {});
        }
    });
    url
}

/// One request and its answer. `None`: the connection has ended.
fn answer(stream: &TcpStream, sandbox: &Sandbox, runtime: &tokio::runtime::Handle) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let headers: Vec<(String, String)> = headers.into_iter().collect();
    let response = runtime.block_on(sandbox.answer(&method, &path, &headers, &body)).ok()?;
    let head = format!(
        "HTTP/1.1 {} X\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
        response.status,
        response.content_type,
        response.body.len()
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(response.body.as_bytes())).ok()
}

/// The same calls as natdeck makes, by the SDK alone.
async fn bare(ec2: &aws_sdk_ec2::Client, ssm: &aws_sdk_ssm::Client, iam: &aws_sdk_iam::Client) -> usize {
    macro_rules! all {
        ($($call:ident),+) => { tokio::join!($(async { ec2.$call().into_paginator().send().collect::<Vec<_>>().await.len() }),+) };
    }
    let pages = all!(
        describe_vpcs,
        describe_subnets,
        describe_route_tables,
        describe_internet_gateways,
        describe_egress_only_internet_gateways,
        describe_nat_gateways,
        describe_network_interfaces,
        describe_instances,
        describe_instance_status,
        describe_security_groups,
        describe_network_acls,
        describe_vpc_endpoints,
        describe_managed_prefix_lists
    );
    let (addresses, managed, profiles) = tokio::join!(
        ec2.describe_addresses().send(),
        ssm.describe_instance_information().into_paginator().send().collect::<Vec<_>>(),
        iam.list_instance_profiles().into_paginator().send().collect::<Vec<_>>()
    );
    pages.6 + usize::from(addresses.is_ok()) + managed.len() + profiles.len()
}

fn observing(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("observe 2,000 interfaces");
    group.sample_size(10).measurement_time(Duration::from_secs(10));

    let in_process = sandbox(2_000);
    let target = Target { sandbox: Some(in_process.http_client()), ..Target::default() };
    let session = runtime.block_on(Session::connect(target, CallLog::new())).expect("a session");
    group.bench_function("in process", |bench| {
        bench.to_async(&runtime).iter(|| ops::observe(&session, None, None));
    });

    let url = serve(sandbox(2_000), runtime.handle().clone());
    // A session on "the sandbox" takes static credentials; sent over loopback, it differs from one on any other
    // endpoint in nothing that takes time.
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_types::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(aws_sdk_ec2::config::SharedCredentialsProvider::new(Credentials::new(
            "a", "b", None, None, "bench",
        )))
        .endpoint_url(&url)
        .http_client(http.clone())
        .sleep_impl(aws_sdk_ec2::config::SharedAsyncSleep::new(aws_smithy_async::rt::sleep::TokioSleep::new()))
        .build();
    let (ec2, ssm, iam) =
        (aws_sdk_ec2::Client::new(&config), aws_sdk_ssm::Client::new(&config), aws_sdk_iam::Client::new(&config));
    group.bench_function("bare SDK over loopback", |bench| {
        bench.to_async(&runtime).iter(|| bare(&ec2, &ssm, &iam));
    });
    let over = redirect::client(http, &url);
    let target = Target { sandbox: Some(over), ..Target::default() };
    let session = runtime.block_on(Session::connect(target, CallLog::new())).expect("a session");
    group.bench_function("natdeck over loopback", |bench| {
        bench.to_async(&runtime).iter(|| ops::observe(&session, None, None));
    });
    group.finish();
}

/// A session that is told to use "the sandbox", sent over loopback instead: the same code as for any endpoint.
mod redirect {
    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

    #[derive(Debug, Clone)]
    struct Redirect {
        inner: SharedHttpClient,
        authority: String,
    }

    #[derive(Debug)]
    struct Connector {
        inner: SharedHttpConnector,
        authority: String,
    }

    pub fn client(inner: SharedHttpClient, url: &str) -> SharedHttpClient {
        SharedHttpClient::new(Redirect { inner, authority: url.trim_start_matches("http://").to_owned() })
    }

    impl HttpClient for Redirect {
        fn http_connector(
            &self,
            settings: &HttpConnectorSettings,
            components: &RuntimeComponents,
        ) -> SharedHttpConnector {
            let inner = self.inner.http_connector(settings, components);
            SharedHttpConnector::new(Connector { inner, authority: self.authority.clone() })
        }
    }

    impl HttpConnector for Connector {
        fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
            let path = request.uri().to_owned();
            let path = path.splitn(4, '/').nth(3).unwrap_or_default();
            if let Err(error) = request.set_uri(format!("http://{}/{path}", self.authority)) {
                panic!("the bench's own URL: {error}");
            }
            self.inner.call(request)
        }
    }
}

criterion_group!(benches, walking, diagnosing, drawing, observing);
criterion_main!(benches);
