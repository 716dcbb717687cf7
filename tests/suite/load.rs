//! A large world under many clients: ten VPCs with 2,000 interfaces and 200 route tables. Every describe answers its
//! first page quickly, memory stays small, and fifty clients at once each find exactly what is theirs.
//!
//! `NATDECK_LOAD_S` is how many seconds the fifty clients work (5).

#![expect(clippy::print_stderr, reason = "what was measured is for people, who ask for it with --nocapture")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use natdeck::sandbox::{Options, Sandbox, Saving, Scenario, Server};
use tokio::net::TcpStream;

/// What a first page may take. Unoptimised code gets eight times as long, and a busy machine three attempts.
const FIRST_PAGE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 160 } else { 20 });

const VPCS: usize = 10;
const SUBNETS: usize = 20;
const INTERFACES: usize = 10;

/// One client's connection.
struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    /// Status and body of one EC2 request.
    async fn send(&mut self, action: &str, pairs: &[(&str, &str)]) -> (u16, String) {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", "2016-11-15")
            .extend_pairs(pairs)
            .finish();
        let request = hyper::Request::post("/").header("host", "sandbox").body(Full::from(form)).unwrap();
        self.sender.ready().await.unwrap();
        let answer = self.sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn ok(&mut self, action: &str, pairs: &[(&str, &str)]) -> String {
        let (status, body) = self.send(action, pairs).await;
        assert_eq!(status, 200, "{action} {pairs:?}: {body}");
        body
    }

    /// The text of the first element of this name.
    async fn make(&mut self, action: &str, element: &str, pairs: &[(&str, &str)]) -> String {
        text(&self.ok(action, pairs).await, element)
    }
}

fn text(body: &str, element: &str) -> String {
    let (_, rest) = body.split_once(&format!("<{element}>")).unwrap_or_else(|| panic!("no {element} in {body}"));
    rest.split_once('<').unwrap().0.to_owned()
}

/// An empty sandbox on a port of its own. Ends with the test.
async fn serve() -> SocketAddr {
    let options = Options { scenario: Some(Scenario::Empty), saving: Saving::WhenTold, ..Options::default() };
    let server = Server::bind(Sandbox::open(options).unwrap(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.address().unwrap();
    tokio::spawn(server.run(|_| {}, std::future::pending()));
    address
}

async fn fill(client: &mut Client) {
    for vpc in 0..VPCS {
        let cidr = format!("10.{vpc}.0.0/16");
        let vpc_id = client.make("CreateVpc", "vpcId", &[("CidrBlock", &cidr)]).await;
        let gateway = client.make("CreateInternetGateway", "internetGatewayId", &[]).await;
        client.ok("AttachInternetGateway", &[("VpcId", &vpc_id), ("InternetGatewayId", &gateway)]).await;
        for subnet in 0..SUBNETS {
            let cidr = format!("10.{vpc}.{subnet}.0/24");
            let subnet_id = client.make("CreateSubnet", "subnetId", &[("VpcId", &vpc_id), ("CidrBlock", &cidr)]).await;
            let table = client.make("CreateRouteTable", "routeTableId", &[("VpcId", &vpc_id)]).await;
            client.ok("AssociateRouteTable", &[("RouteTableId", &table), ("SubnetId", &subnet_id)]).await;
            let route =
                [("RouteTableId", table.as_str()), ("DestinationCidrBlock", "0.0.0.0/0"), ("GatewayId", &gateway)];
            client.ok("CreateRoute", &route).await;
            for _ in 0..INTERFACES {
                client.ok("CreateNetworkInterface", &[("SubnetId", &subnet_id)]).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_page_of_a_large_world_comes_quickly_and_pages_show_everything_once() {
    let address = serve().await;
    let mut client = Client::connect(address).await;
    let started = Instant::now();
    fill(&mut client).await;
    let filled = started.elapsed();
    for action in [
        "DescribeVpcs",
        "DescribeSubnets",
        "DescribeRouteTables",
        "DescribeInternetGateways",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroups",
        "DescribeSecurityGroupRules",
        "DescribeNetworkAcls",
        "DescribeTags",
        "DescribeInstances",
        "DescribeVpcEndpoints",
        "DescribeNatGateways",
        "DescribeManagedPrefixLists",
    ] {
        let mut took = Duration::MAX;
        for _ in 0..3 {
            let started = Instant::now();
            client.ok(action, &[("MaxResults", "100")]).await;
            took = took.min(started.elapsed());
        }
        eprintln!("{action}: first page {took:?}");
        assert!(took < FIRST_PAGE, "{action} took {took:?}");
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut token = String::new();
    loop {
        let body = client.ok("DescribeNetworkInterfaces", &[("MaxResults", "300"), ("NextToken", &token)]).await;
        for part in body.split("<networkInterfaceId>").skip(1) {
            assert!(seen.insert(part.split('<').next().unwrap().to_owned()), "an interface is on two pages");
        }
        if !body.contains("<nextToken>") {
            break;
        }
        token = text(&body, "nextToken");
    }
    assert_eq!(seen.len(), VPCS * SUBNETS * INTERFACES);
    // Building it is 2,850 changes: none may cost a look at the whole world many times over.
    let changes = u32::try_from(VPCS * (3 + SUBNETS * (4 + INTERFACES))).unwrap();
    eprintln!("{changes} changes in {filled:?}, {:?} each", filled / changes);
    let bound = Duration::from_millis(if cfg!(debug_assertions) { 60 } else { 10 });
    assert!(filled / changes < bound, "{changes} changes took {filled:?}");
    let memory = memory_mib();
    eprintln!("{memory} MiB");
    assert!(memory < 200, "{memory} MiB");
}

/// Resident memory of this process. The suite's other tests run in it too, which only makes the bound harder.
fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

/// What one client does again and again: a VPC of its own from beginning to end, looking at each turn.
async fn work(address: SocketAddr, me: usize, until: Instant) -> usize {
    let mut client = Client::connect(address).await;
    let name = format!("client-{me}");
    let mut rounds = 0;
    while Instant::now() < until {
        let tags = [
            ("TagSpecification.1.ResourceType", "vpc"),
            ("TagSpecification.1.Tag.1.Key", "owner"),
            ("TagSpecification.1.Tag.1.Value", name.as_str()),
        ];
        let mut pairs = vec![("CidrBlock", "10.0.0.0/16")];
        pairs.extend(tags);
        let vpc = client.make("CreateVpc", "vpcId", &pairs).await;
        let mine = [("Filter.1.Name", "tag:owner"), ("Filter.1.Value.1", name.as_str())];
        let body = client.ok("DescribeVpcs", &mine).await;
        assert_eq!(body.matches("<vpcId>").count(), 1, "{name} sees one VPC of its own: {body}");
        assert_eq!(text(&body, "vpcId"), vpc);
        let third = format!("10.0.{}.0/24", me % 250);
        let subnet = client.make("CreateSubnet", "subnetId", &[("VpcId", &vpc), ("CidrBlock", &third)]).await;
        let interface = client.make("CreateNetworkInterface", "networkInterfaceId", &[("SubnetId", &subnet)]).await;
        let within = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
        let body = client.ok("DescribeNetworkInterfaces", &within).await;
        assert_eq!(body.matches("<networkInterfaceId>").count(), 1, "{body}");
        assert_eq!(text(&body, "networkInterfaceId"), interface);
        let body = client.ok("DescribeSubnets", &within).await;
        assert_eq!((text(&body, "cidrBlock"), text(&body, "availableIpAddressCount")), (third, "250".to_owned()));
        let (status, body) = client.send("DeleteSubnet", &[("SubnetId", &subnet)]).await;
        assert_eq!((status, text(&body, "Code").as_str()), (400, "DependencyViolation"));
        client.ok("DeleteNetworkInterface", &[("NetworkInterfaceId", &interface)]).await;
        client.ok("DeleteSubnet", &[("SubnetId", &subnet)]).await;
        client.ok("DeleteVpc", &[("VpcId", &vpc)]).await;
        let (status, body) = client.send("DescribeVpcs", &[("VpcId.1", &vpc)]).await;
        assert_eq!((status, text(&body, "Code").as_str()), (400, "InvalidVpcID.NotFound"));
        rounds += 1;
    }
    rounds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_at_once_get_no_wrong_answer() {
    let seconds = std::env::var("NATDECK_LOAD_S").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let address = serve().await;
    let until = Instant::now() + Duration::from_secs(seconds);
    let clients: Vec<_> = (0..50).map(|me| tokio::spawn(work(address, me, until))).collect();
    let mut rounds = Vec::new();
    for client in clients {
        rounds.push(client.await.unwrap());
    }
    let total: usize = rounds.iter().sum();
    eprintln!("50 clients, {seconds} s: {} requests", total * 11);
    assert!(rounds.iter().all(|rounds| *rounds > 0), "nobody was left waiting: {rounds:?}");
    let mut client = Client::connect(address).await;
    assert!(!client.ok("DescribeVpcs", &[]).await.contains("<vpcId>"), "nothing is left behind");
}
