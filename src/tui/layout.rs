//! Where everything goes for a given size of the terminal. Pure: `update` uses it to scroll, `view` to draw.

use ratatui::layout::Rect;

use super::model::{Focus, Zoom};

/// Below this there is only a notice.
pub const MINIMUM: (u16, u16) = (60, 15);
/// Below this many columns one pane is shown at a time.
pub const SPLIT_FROM: u16 = 100;

/// Areas of the screen. `tree` and `pane` are whole panes, frame included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub header: Rect,
    pub tree: Option<Rect>,
    pub pane: Option<Rect>,
    pub hints: Rect,
    pub too_small: bool,
}

impl Layout {
    pub fn new((columns, rows): (u16, u16), focus: Focus, zoom: Zoom) -> Self {
        let too_small = columns < MINIMUM.0 || rows < MINIMUM.1;
        let header = Rect::new(0, 0, columns, 2.min(rows));
        let hints = Rect::new(0, rows.saturating_sub(1), columns, 1.min(rows));
        let body = Rect::new(0, header.height, columns, rows.saturating_sub(header.height + hints.height));
        let split = columns >= SPLIT_FROM && zoom == Zoom::Off;
        let (tree, pane) = match (split, focus) {
            (true, _) => {
                let left = u16::try_from(u32::from(columns) * 2 / 5).unwrap_or(columns);
                (
                    Some(Rect { width: left, ..body }),
                    Some(Rect { x: left, width: columns.saturating_sub(left), ..body }),
                )
            }
            (false, Focus::Tree) => (Some(body), None),
            (false, Focus::Pane) => (None, Some(body)),
        };
        Self { header, tree, pane, hints, too_small }
    }

    /// Rows inside the tree's frame.
    pub fn tree_height(&self) -> usize {
        self.tree.map_or(0, |area| usize::from(area.height.saturating_sub(2)))
    }

    /// Columns and rows inside the pane's frame, one column of air on each side taken off.
    pub fn pane_size(&self) -> (usize, usize) {
        self.pane.map_or((0, 0), |area| {
            (usize::from(area.width.saturating_sub(4)), usize::from(area.height.saturating_sub(2)))
        })
    }

    /// How the Steps pane is divided for a plan of `steps`: rows of the list, and rows of the selected step's text
    /// below it.
    pub fn steps_rows(&self, steps: usize) -> (usize, usize) {
        let (_, height) = self.pane_size();
        let inner = height.saturating_sub(2);
        let list = (inner / 2).max(3).min(inner).min(steps.max(1));
        (list, inner - list)
    }

    /// Rows of a table in the pane, below its heading and above the text for the selected row.
    pub fn table_rows(&self) -> usize {
        let (_, height) = self.pane_size();
        height.saturating_sub(2 + Self::FOOT)
    }

    /// Rows of the list in the menu of drills.
    pub fn drills_rows(&self) -> usize {
        usize::from(self.drills_frame().height.saturating_sub(9))
    }

    /// The menu of drills, over the middle of everything between header and hints.
    pub fn drills_frame(&self) -> Rect {
        let top = self.header.bottom();
        let (width, height) = (self.hints.width.min(110), self.hints.y.saturating_sub(top).min(34));
        Rect { x: (self.hints.width - width) / 2, y: top, width, height }
    }

    /// Rows for the selected row's text below a table, its rule included.
    pub const FOOT: usize = 7;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_terminal_shows_tree_and_pane_and_a_narrow_one_either() {
        let wide = Layout::new((120, 40), Focus::Tree, Zoom::Off);
        assert_eq!((wide.tree.map(|r| r.width), wide.pane.map(|r| r.width)), (Some(48), Some(72)));
        let narrow = Layout::new((99, 40), Focus::Tree, Zoom::Off);
        assert!(narrow.tree.is_some() && narrow.pane.is_none());
        let zoomed = Layout::new((200, 60), Focus::Pane, Zoom::On);
        assert!(zoomed.tree.is_none() && zoomed.pane.is_some());
    }

    #[test]
    fn no_size_makes_it_panic() {
        for columns in 0..130 {
            for rows in 0..40 {
                let layout = Layout::new((columns, rows), Focus::Pane, Zoom::Off);
                let _ = (layout.tree_height(), layout.pane_size(), layout.steps_rows(20), layout.table_rows());
                assert_eq!(layout.too_small, columns < 60 || rows < 15);
            }
        }
    }
}
