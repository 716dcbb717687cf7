//! Puts toned lines on the screen: the only place where tones become styles.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Block, BorderType, Clear, Widget};

use crate::tui::theme::{Theme, Tone};
use crate::tui::widget::line::Line;
use crate::tui::widget::text::{fit, width};

/// A buffer with a theme.
pub(super) struct Painter<'a> {
    buffer: &'a mut Buffer,
    theme: &'a Theme,
}

impl<'a> Painter<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, theme: &'a Theme) -> Self {
        Self { buffer, theme }
    }

    /// Gives an area the theme's plain style.
    pub(super) fn wash(&mut self, area: Rect) {
        self.buffer.set_style(area, self.theme.style(Tone::Text));
    }

    /// Empties an area, for what lies over others.
    pub(super) fn clear(&mut self, area: Rect) {
        Clear.render(area, self.buffer);
        self.wash(area);
    }

    /// A frame with a title.
    pub(super) fn frame(&mut self, area: Rect, title: &Line, focused: bool) {
        self.frame_toned(area, title, if focused { Tone::BorderFocus } else { Tone::Border });
    }

    pub(super) fn frame_toned(&mut self, area: Rect, title: &Line, tone: Tone) {
        let style = self.theme.style(tone);
        Block::bordered().border_type(BorderType::Rounded).border_style(style).render(area, self.buffer);
        self.line(area.x + 1, area.y, area.width.saturating_sub(2), title);
    }

    /// A line, cut at `columns` with `…`. Gives the columns used.
    pub(super) fn line(&mut self, x: u16, y: u16, columns: u16, line: &Line) -> u16 {
        self.styled(x, y, columns, line, Style::new())
    }

    /// A line over a row that is selected.
    pub(super) fn styled(&mut self, x: u16, y: u16, columns: u16, line: &Line, over: Style) -> u16 {
        let area = *self.buffer.area();
        if y >= area.bottom() || x >= area.right() {
            return 0;
        }
        let columns = columns.min(area.right() - x);
        let mut room = usize::from(columns);
        let mut at = x;
        for (text, tone) in &line.0 {
            if room == 0 {
                break;
            }
            let fitted = fit(text, room);
            // Colours of single pieces would make a patchwork of a reversed row.
            let whole_row = over.add_modifier.contains(Modifier::REVERSED);
            let style = if whole_row { over } else { self.theme.style(*tone).patch(over) };
            let (next, _) = self.buffer.set_stringn(at, y, fitted.as_ref(), room, style);
            room = room.saturating_sub(usize::from(next - at));
            at = next;
            if fitted.len() != text.len() {
                break;
            }
        }
        at - x
    }

    /// A line that ends at the right edge of `columns`. Gives the columns that are left before it.
    pub(super) fn line_right(&mut self, x: u16, y: u16, columns: u16, line: &Line, over: Style) -> u16 {
        let wide = u16::try_from(line.0.iter().map(|(text, _)| width(text)).sum::<usize>()).unwrap_or(u16::MAX);
        if wide == 0 || wide >= columns {
            return columns;
        }
        let start = columns - wide;
        self.styled(x + start, y, wide, line, over);
        start.saturating_sub(1)
    }

    /// The style of the selected row, over its whole width. Without a selection an empty style.
    pub(super) fn selection(&mut self, x: u16, y: u16, columns: u16, focused: bool) -> Style {
        let style = self.theme.style(if focused { Tone::Selection } else { Tone::SelectionIdle });
        let area = Rect::new(x, y, columns, 1).intersection(*self.buffer.area());
        self.buffer.set_style(area, style);
        style
    }

    /// Lines from the top of an area, as many as fit.
    pub(super) fn lines<'l>(&mut self, area: Rect, lines: impl IntoIterator<Item = &'l Line>) {
        for (y, line) in (area.y..area.bottom()).zip(lines) {
            self.line(area.x, y, area.width, line);
        }
    }

    /// A rule across an area's width, with a word in it.
    pub(super) fn rule(&mut self, x: u16, y: u16, columns: u16, word: &Line) {
        let dashes = "─".repeat(usize::from(columns));
        self.line(x, y, columns, &Line::of(dashes, Tone::Border));
        if !word.0.is_empty() {
            self.line(x + 1, y, columns.saturating_sub(2), word);
        }
    }

    /// A scroll mark at the right edge of a frame: where the window is in what there is.
    pub(super) fn scroll_mark(&mut self, frame: Rect, top: usize, height: usize, rows: usize) {
        if rows <= height || height == 0 {
            return;
        }
        let track = usize::from(frame.height.saturating_sub(2));
        let thumb = (track * height / rows).max(1);
        let start = (track.saturating_sub(thumb)) * top / (rows - height).max(1);
        for at in start..(start + thumb).min(track) {
            let y = frame.y + 1 + u16::try_from(at).unwrap_or(0);
            self.line(frame.right().saturating_sub(1), y, 1, &Line::of("┃", Tone::Dim));
        }
    }
}
