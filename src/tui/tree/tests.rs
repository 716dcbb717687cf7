use std::sync::Arc;

use super::*;
use crate::model::{Part, Unknown};
use crate::tui::testing::{CLIENT_0, NAT, PRIVATE, Stage, VPC, crowded, network};

fn seen(stage: Stage) -> Seen {
    let network = Arc::new(network(stage));
    Seen::new(network.clone(), network)
}

fn tree(seen: &Seen) -> Tree {
    let mut tree = Tree::default();
    tree.replace(build(seen), seen);
    tree
}

fn texts(tree: &Tree, seen: &Seen) -> Vec<String> {
    tree.rows(usize::MAX)
        .map(|(_, node)| format!("{}{}", "  ".repeat(node.depth), label::label(seen, node).text()))
        .collect()
}

#[test]
fn public_and_private_are_read_off_the_route_tables() {
    let seen = seen(Stage::Provisioned);
    assert_eq!(seen.facts.exposure.get(crate::tui::testing::PUBLIC), Some(&Exposure::Public));
    assert!(matches!(seen.facts.exposure.get(PRIVATE), Some(Exposure::Private(_))));
    assert!(seen.facts.is_nat(&crate::model::InstanceId::new(NAT)));
    let draft = self::seen(Stage::Draft);
    assert_eq!(draft.facts.exposure.get(PRIVATE), Some(&Exposure::Isolated));
}

#[test]
fn a_filter_sees_what_is_folded_and_keeps_ancestors() {
    let seen = seen(Stage::Provisioned);
    let mut tree = tree(&seen);
    tree.set_filter("ssmmessages", &seen);
    let rows = texts(&tree, &seen);
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].contains("nat-test") && rows[1].contains("Endpoints") && rows[2].contains("ssmmessages"));
    assert_eq!(tree.found(), 1);
    assert_eq!(tree.cursor(), 2, "the cursor goes to the match");
}

#[test]
fn every_filter_gives_rows_in_order_and_each_with_its_parent() {
    let seen = seen(Stage::Provisioned);
    let mut tree = tree(&seen);
    for text in ["10.8", "nat", "private", "0", "eni", "running t4g", "zzz", ""] {
        tree.set_filter(text, &seen);
        assert!(tree.visible.is_sorted_by(|a, b| a < b), "{text}");
        for at in &tree.visible {
            assert!(tree.nodes[*at].parent.is_none_or(|parent| tree.visible.binary_search(&parent).is_ok()), "{text}");
        }
    }
}

#[test]
fn folding_hides_the_children_and_survives_a_refresh() {
    let seen = seen(Stage::Provisioned);
    let mut tree = tree(&seen);
    assert!(tree.reveal(PRIVATE, &seen));
    let before = tree.len();
    tree.fold(&seen);
    assert_eq!(tree.len(), before - 3);
    tree.replace(build(&seen), &seen);
    assert_eq!(tree.len(), before - 3);
    assert_eq!(tree.selected().and_then(|n| n.what.resource_id()), Some((Kind::Subnet, PRIVATE)));
    assert!(tree.unfold(&seen));
    assert_eq!(tree.len(), before);
}

#[test]
fn the_cursor_stays_on_its_node_when_rows_appear_above() {
    let draft = seen(Stage::Draft);
    let mut tree = tree(&draft);
    assert!(tree.reveal(CLIENT_0, &draft));
    let later = Seen::new(Arc::new(network(Stage::Provisioned)), draft.network.clone());
    tree.replace(build(&later), &later);
    assert_eq!(tree.selected().and_then(|n| n.what.resource_id()), Some((Kind::Instance, CLIENT_0)));
    assert_eq!(later.change(NAT), Some(Change::Added));
}

#[test]
fn what_has_gone_stays_in_its_place_and_is_marked() {
    let now = Seen::new(Arc::new(network(Stage::Draft)), Arc::new(network(Stage::Provisioned)));
    let mut tree = tree(&now);
    assert!(tree.reveal(NAT, &now));
    assert_eq!(now.change(NAT), Some(Change::Removed));
    assert!(label::label(&now, tree.selected().unwrap()).text().starts_with("NAT-Instance"));
}

#[test]
fn an_unknown_part_is_a_row_with_its_reason() {
    let mut network = network(Stage::Provisioned);
    network.vpc_endpoints = Part::unknown(Unknown::new("DescribeVpcEndpoints", "UnauthorizedOperation"));
    let network = Arc::new(network);
    let seen = Seen::new(network.clone(), network);
    let rows = texts(&tree(&seen), &seen);
    assert!(rows.iter().any(|row| row == "unknown: DescribeVpcEndpoints: UnauthorizedOperation"), "{rows:?}");
}

#[test]
fn without_vpcs_what_was_seen_is_still_shown() {
    let mut network = network(Stage::Provisioned);
    network.vpcs = Part::unknown(Unknown::new("DescribeVpcs", "RequestLimitExceeded"));
    let network = Arc::new(network);
    let seen = Seen::new(network.clone(), network);
    let mut tree = tree(&seen);
    assert!(tree.reveal(NAT, &seen), "instances are in the tree although their VPC is not known");
    assert!(!tree.reveal(VPC, &seen));
}

#[test]
fn ten_thousand_interfaces_make_a_window_of_rows() {
    let network = Arc::new(crowded(10_000));
    let seen = Seen::new(network.clone(), network);
    let mut tree = tree(&seen);
    assert!(tree.reveal(&format!("eni-1{:016x}", 9_999), &seen));
    tree.keep_in_view(50);
    assert_eq!(tree.rows(50).count(), 50);
    assert!(tree.rows(50).any(|(row, _)| row == tree.cursor()));
}

#[test]
fn names_from_tags_cannot_steer_the_terminal() {
    let mut network = network(Stage::Provisioned);
    let nat = network.instances.items_mut().get_mut(NAT).unwrap();
    nat.tags = [("Name", "x\u{1b}]0;owned\u{7}\u{202e}y")].into_iter().collect();
    let network = Arc::new(network);
    let seen = Seen::new(network.clone(), network);
    for node in build(&seen) {
        let text = label::label(&seen, &node).text();
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
}
