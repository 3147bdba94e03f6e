//! Drawing a QR code on a terminal.
//!
//! Readers want dark modules on light ground. A terminal's own colours may be either, so both are named:
//! black on white, whatever the user's theme. These colours are the picture and not decoration, which is
//! why NO_COLOR does not take them away; where the output is no terminal there are none, and dark
//! modules are what is inked. Two modules of light ground all around are enough for a screen. A drawing is
//! never wrapped: a terminal that is too small gets none.

use std::fmt;

use super::Code;
use crate::cli;

/// The light ground around the code, in modules.
const QUIET: usize = 2;

/// Black on white; bright white for those who know it.
const BLACK_ON_WHITE: &str = "\x1b[0;30;47;107m";
/// Black on black: an inked module whose character does not show.
const SOLID_BLACK: &str = "\x1b[0;30;40m";
const RESET: &str = "\x1b[0m";

/// How modules become characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// Half blocks: one column, half a line a module.
    HalfBlocks,
    /// Two columns, one line a module.
    Ascii,
}

impl Style {
    /// What was asked for, or what the locale can show; `None` for no drawing.
    pub fn choose(asked: cli::Qr, locale_is_utf8: bool) -> Option<Self> {
        match asked {
            cli::Qr::None => None,
            cli::Qr::Utf8 => Some(Self::HalfBlocks),
            cli::Qr::Ascii => Some(Self::Ascii),
            cli::Qr::Auto if locale_is_utf8 => Some(Self::HalfBlocks),
            cli::Qr::Auto => Some(Self::Ascii),
        }
    }
}

/// Columns and lines, of a drawing or of a terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size {
    /// Characters side by side.
    pub columns: usize,
    /// Lines.
    pub lines: usize,
}

impl Size {
    /// What a drawing of `code` takes.
    pub fn of(code: &Code, style: Style) -> Self {
        let side = code.modules().saturating_add(QUIET.saturating_mul(2));
        match style {
            Style::HalfBlocks => Self { columns: side, lines: side.div_ceil(2) },
            Style::Ascii => Self { columns: side.saturating_mul(2), lines: side },
        }
    }

    /// Whether a drawing of this size, and `beside` lines of text, are seen whole in `terminal`.
    pub fn fits(self, terminal: Self, beside: usize) -> bool {
        self.columns <= terminal.columns && self.lines.saturating_add(beside) <= terminal.lines
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.columns, self.lines)
    }
}

/// The drawing, line by line, each with its end. `colours`: the lines go to a terminal.
pub fn draw(code: &Code, style: Style, colours: bool) -> String {
    let lines = 0..Size::of(code, style).lines;
    lines.map(|line| draw_line(code, style, colours, line)).collect()
}

fn draw_line(code: &Code, style: Style, colours: bool, line: usize) -> String {
    let columns = 0..code.modules().saturating_add(QUIET.saturating_mul(2));
    let dark = |column: usize, row: usize| {
        // In the quiet zone there is no module, and nothing is dark.
        matches!((column.checked_sub(QUIET), row.checked_sub(QUIET)),
            (Some(column), Some(row)) if code.is_dark(column, row))
    };
    let body: String = match style {
        Style::HalfBlocks => {
            let upper = line.saturating_mul(2);
            let lower = upper.saturating_add(1);
            columns.map(|column| half_block(dark(column, upper), dark(column, lower))).collect()
        }
        Style::Ascii => columns.map(|column| pair(dark(column, line), colours)).collect(),
    };
    if colours { format!("{BLACK_ON_WHITE}{body}{RESET}\n") } else { format!("{body}\n") }
}

fn half_block(upper: bool, lower: bool) -> char {
    match (upper, lower) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

fn pair(dark: bool, colours: bool) -> String {
    match (dark, colours) {
        (true, true) => format!("{SOLID_BLACK}##{BLACK_ON_WHITE}"),
        (true, false) => "##".to_owned(),
        (false, _) => "  ".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // counting pixels
mod tests {
    use super::*;

    const TEXT: &str =
        "otpauth://totp/web1:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=web1";
    const PIXELS: usize = 4;

    /// What the eye sees: a picture of a terminal whose own colours are light grey on `ground`.
    fn screen(drawing: &str, ground: u8) -> (usize, usize, Vec<u8>) {
        let lines: Vec<&str> = drawing.lines().collect();
        let (width, height) = (90, lines.len() * 2 + 4);
        let mut cells = vec![ground; width * height];
        for (y, line) in lines.iter().enumerate() {
            let (mut ink, mut paper, mut x) = (255 - ground, ground, 2);
            let mut rest = line.chars();
            while let Some(c) = rest.next() {
                if c == '\x1b' {
                    let codes: String = rest.by_ref().skip(1).take_while(|c| *c != 'm').collect();
                    for code in codes.split(';') {
                        match code {
                            "0" => (ink, paper) = (255 - ground, ground),
                            "30" => ink = 0,
                            "40" => paper = 0,
                            "47" | "107" => paper = 255,
                            other => panic!("an unexpected colour: {other}"),
                        }
                    }
                    continue;
                }
                let (upper, lower) = match c {
                    '█' | '#' => (ink, ink),
                    '▀' => (ink, paper),
                    '▄' => (paper, ink),
                    ' ' => (paper, paper),
                    other => panic!("an unexpected character: {other}"),
                };
                cells[(y * 2 + 2) * width + x] = upper;
                cells[(y * 2 + 3) * width + x] = lower;
                x += 1;
            }
        }
        (width, height, cells)
    }

    fn read(drawing: &str, ground: u8) -> Option<String> {
        let (width, height, cells) = screen(drawing, ground);
        // A cell is twice as high as wide; `screen` halves it, so pixels are square.
        let mut picture =
            rqrr::PreparedImage::prepare_from_greyscale(width * PIXELS, height * PIXELS, |x, y| {
                cells[(y / PIXELS) * width + x / PIXELS]
            });
        Some(picture.detect_grids().first()?.decode().ok()?.1)
    }

    #[test]
    fn what_is_drawn_can_be_read_back_from_dark_and_light_terminals() {
        let code = Code::new(TEXT).unwrap();
        for style in [Style::HalfBlocks, Style::Ascii] {
            for ground in [0, 40, 255] {
                let drawing = draw(&code, style, true);
                assert_eq!(read(&drawing, ground).as_deref(), Some(TEXT), "{style:?} on {ground}");
            }
        }
    }

    #[test]
    fn without_colours_dark_modules_are_what_is_inked() {
        let code = Code::new(TEXT).unwrap();
        for style in [Style::HalfBlocks, Style::Ascii] {
            let drawing = draw(&code, style, false);
            assert!(!drawing.contains('\x1b'));
            assert_eq!(read(&drawing, 255).as_deref(), Some(TEXT), "{style:?}");
        }
        assert!(draw(&code, Style::Ascii, false).is_ascii());
    }

    #[test]
    fn the_largest_comfortable_code_leaves_three_lines_of_eighty_by_twenty_four() {
        let code = Code::new(&"x".repeat(106)).unwrap();
        assert_eq!(code.modules(), super::super::COMFORTABLE_MODULES);
        let size = Size::of(&code, Style::HalfBlocks);
        assert_eq!(size, Size { columns: 41, lines: 21 });
        let terminal = Size { columns: 80, lines: 24 };
        assert!(size.fits(terminal, 3) && !size.fits(terminal, 4));
        assert!(!Size::of(&code, Style::Ascii).fits(terminal, 3));
    }

    #[test]
    fn every_line_is_as_wide_as_announced_and_ends_in_the_terminals_own_colours() {
        let code = Code::new(TEXT).unwrap();
        for style in [Style::HalfBlocks, Style::Ascii] {
            let size = Size::of(&code, style);
            let plain = draw(&code, style, false);
            assert_eq!(plain.lines().count(), size.lines);
            assert!(plain.lines().all(|line| line.chars().count() == size.columns));
            assert!(draw(&code, style, true).lines().all(|line| line.ends_with(RESET)));
        }
    }

    #[test]
    fn the_locale_decides_only_where_nothing_was_asked_for() {
        assert_eq!(Style::choose(cli::Qr::Auto, true), Some(Style::HalfBlocks));
        assert_eq!(Style::choose(cli::Qr::Auto, false), Some(Style::Ascii));
        assert_eq!(Style::choose(cli::Qr::Utf8, false), Some(Style::HalfBlocks));
        assert_eq!(Style::choose(cli::Qr::Ascii, true), Some(Style::Ascii));
        assert_eq!(Style::choose(cli::Qr::None, true), None);
    }
}
