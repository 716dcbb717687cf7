//! AWS's own lists of what goes wrong, and which cause of natdeck's says it: `assets/aws-codes.md` is written from them.
//!
//! Codes are typed, so that none can be named that there is not; and both ways are insisted on: what a cause calls itself
//! in AWS's words is in AWS's list, and what the list says that natdeck says has an AWS word.

mod codes;
mod failures;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use natdeck::reach::{Cause, Code, Place};

use codes::SECTIONS;
use failures::PAGES;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/aws-codes.md");

/// What natdeck says of something that AWS lists.
pub enum Said {
    /// The same, by these codes.
    By(&'static [Code]),
    /// No word of its own for it. Nearest are these, and why.
    Near(&'static [Code], &'static str),
    /// It is where natdeck cannot see: the answer is that it cannot be told, and what was not seen.
    Unseen(&'static str),
    /// It does not stop a private instance on its way to the internet, and why.
    Elsewhere(&'static str),
}

impl Said {
    fn codes(&self) -> &'static [Code] {
        match self {
            Self::By(codes) | Self::Near(codes, _) => codes,
            Self::Unseen(_) | Self::Elsewhere(_) => &[],
        }
    }

    fn cell(&self) -> String {
        let links: Vec<String> = self.codes().iter().map(|code| link(*code)).collect();
        let links = links.join(", ");
        match self {
            Self::By(_) => links,
            Self::Near(_, why) => format!("nearest: {links}. {why}"),
            Self::Unseen(why) => format!("cannot tell: {why}"),
            Self::Elsewhere(why) => format!("left out: {why}"),
        }
    }
}

/// To the first section of `causes.md` that a code has.
fn link(code: Code) -> String {
    let first = Cause::ALL.iter().find(|cause| cause.code() == code).unwrap();
    format!("[`{code}`](causes.md#{})", first.name().to_lowercase().replace(':', ""))
}

fn said_by(word: &str) -> Option<&'static Said> {
    SECTIONS.iter().flat_map(|(_, rows)| *rows).find(|(code, _)| *code == word).map(|(_, said)| said)
}

const HEAD: &str = "\
# What AWS lists, and what natdeck says

This page is written by the test suite (`tests/suite/causes/aws.rs`, `NATDECK_BLESS=1`) from two lists that are kept in
its sources: all [explanation codes](https://docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html) of
Reachability Analyzer, and what AWS's pages on NAT and SSM and the trackers of well-known NAT modules say goes wrong. Each
is said by a cause of natdeck's ([all causes](causes.md)), or there is a reason why not: it lies where natdeck cannot see,
which it then says, or it is not on the way of a private instance to the internet. `aws_code` of a finding in JSON, and
\"AWS calls it\" elsewhere, is the word of this table.

";

fn page() -> String {
    let mut page = String::from(HEAD);
    let own: Vec<String> = own_words().map(link).collect();
    writeln!(
        page,
        "The Analyzer sends no packet, sees no host and judges no cost. It has no word for {}, for what is wrong on a host \
         (`HOST_…`, `CLIENT_…`), and for a test that cannot be made (`TEST_…`).",
        own.join(", ")
    )
    .unwrap();
    writeln!(page, "\n## Explanation codes").unwrap();
    for (section, rows) in SECTIONS {
        writeln!(page, "\n### {section}\n\n| AWS's code | natdeck |\n|---|---|").unwrap();
        for (code, said) in *rows {
            writeln!(page, "| `{code}` | {} |", said.cell()).unwrap();
        }
    }
    writeln!(page, "\n## Pages and trackers").unwrap();
    for (title, address, rows) in PAGES {
        writeln!(page, "\n### {title}\n\n<{address}>\n\n| what goes wrong | natdeck |\n|---|---|").unwrap();
        for (what, said) in *rows {
            writeln!(page, "| {what} | {} |", said.cell()).unwrap();
        }
    }
    page
}

/// Codes of what AWS's API describes that the Analyzer has no word for.
fn own_words() -> impl Iterator<Item = Code> {
    let in_vpc = |code: &&Code| {
        Cause::ALL.iter().any(|c| c.code() == **code && c.place() == Place::Vpc && c.aws_code().is_none())
    };
    Code::ALL.iter().filter(in_vpc).copied()
}

#[test]
fn the_page_says_what_the_lists_say() {
    let page = page();
    if std::env::var_os("NATDECK_BLESS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let kept = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(kept == page, "assets/aws-codes.md is not what the lists say; NATDECK_BLESS=1 writes it anew");
}

#[test]
fn a_cause_goes_by_a_word_that_aws_has_and_the_list_says_so_too() {
    for cause in Cause::ALL {
        let Some(word) = cause.aws_code() else { continue };
        let said = said_by(word).unwrap_or_else(|| panic!("{cause}: AWS has no {word}"));
        assert!(
            matches!(said, Said::By(codes) if codes.contains(&cause.code())),
            "{cause} is not in the row of {word}"
        );
    }
}

#[test]
fn what_the_list_says_that_natdeck_says_has_a_word_of_aws() {
    let mut seen = BTreeSet::new();
    for (word, said) in SECTIONS.iter().flat_map(|(_, rows)| *rows) {
        assert!(seen.insert(word), "{word} twice");
        assert!(word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'), "{word}");
        let Said::By(codes) = said else { continue };
        for code in *codes {
            let named = Cause::ALL.iter().any(|cause| cause.code() == *code && cause.aws_code().is_some());
            assert!(named, "{word}: {code} says that AWS has no word for it");
        }
    }
}

#[test]
fn a_code_that_is_aws_own_means_the_same() {
    for cause in Cause::ALL.iter().filter(|cause| said_by(cause.code().as_str()).is_some()) {
        assert_eq!(cause.aws_code(), Some(cause.code().as_str()));
    }
}

#[test]
fn whatever_can_go_wrong_in_the_vpc_or_with_ssm_is_in_one_of_the_lists() {
    let listed: BTreeSet<Code> = SECTIONS
        .iter()
        .flat_map(|(_, rows)| *rows)
        .map(|(_, said)| said)
        .chain(PAGES.iter().flat_map(|(_, _, rows)| *rows).map(|(_, said)| said))
        .flat_map(Said::codes)
        .copied()
        .collect();
    let missing: Vec<&Code> = Code::ALL.iter().filter(|code| !listed.contains(code)).collect();
    assert!(
        missing.is_empty(),
        "nothing that AWS lists is said by {missing:?}: is it something that AWS has no page on?"
    );
}
