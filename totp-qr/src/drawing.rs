//! From modules to lines of characters.
//!
//! Readers want dark modules on light ground, and a terminal's own colours may be either. Where lines go to a terminal
//! as they are, both colours are named by escape sequences: black on white, whatever the user's theme. A PAM conversation
//! can't do that: OpenSSH's client writes control characters out (`\033`) before it prints what a server says. There one
//! has to decide which modules get ink, and [`Ground::Dark`] is right for the light-on-dark terminals that most people
//! sit at; on the others the code is a negative, which most apps read as well, and [`Ground::Light`] turns it around.

use std::fmt;

use zeroize::Zeroizing;

use crate::Code;

/// Black on white; bright white for those who know it.
const BLACK_ON_WHITE: &str = "\x1b[0;30;47;107m";
/// Black on black: an inked module whose character does not show.
const SOLID_BLACK: &str = "\x1b[0;30;40m";
const RESET: &str = "\x1b[0m";

/// How modules become characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Glyphs {
    /// Half blocks: one column, half a line a module. For locales of UTF-8.
    HalfBlocks,
    /// Number signs: two columns, one line a module. ASCII alone.
    Ascii,
}

/// What the characters stand on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ground {
    /// Black on white by escape sequences: for a terminal that is written to directly.
    Named,
    /// Light, as paper is: dark modules get the ink. No escape sequences.
    Light,
    /// Dark, with light characters: light modules get the ink. No escape sequences.
    Dark,
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
    #[must_use]
    pub fn of(code: &Code, glyphs: Glyphs) -> Self {
        let side = side(code, glyphs);
        match glyphs {
            Glyphs::HalfBlocks => Self { columns: side, lines: side.div_ceil(2) },
            Glyphs::Ascii => Self { columns: side.saturating_mul(2), lines: side },
        }
    }

    /// Whether a drawing of this size, and `beside` lines of text, are seen whole in `terminal`.
    #[must_use]
    pub fn fits(self, terminal: Self, beside: usize) -> bool {
        self.columns <= terminal.columns && self.lines.saturating_add(beside) <= terminal.lines
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.columns, self.lines)
    }
}

/// The light ground around the code, in modules. Two are enough on a screen; a code of 37 modules has room for one where
/// a module takes two of 80 columns.
fn quiet(glyphs: Glyphs) -> usize {
    match glyphs {
        Glyphs::HalfBlocks => 2,
        Glyphs::Ascii => 1,
    }
}

fn side(code: &Code, glyphs: Glyphs) -> usize {
    code.modules().saturating_add(quiet(glyphs).saturating_mul(2))
}

/// The drawing, line by line and without line ends. For a code of
/// [`COMFORTABLE_MODULES`](crate::COMFORTABLE_MODULES) a line has at most 123 bytes; with escape sequences it has more.
#[must_use]
pub fn lines(code: &Code, glyphs: Glyphs, ground: Ground) -> Vec<Zeroizing<String>> {
    (0..Size::of(code, glyphs).lines).map(|line| draw_line(code, glyphs, ground, line)).collect()
}

fn draw_line(code: &Code, glyphs: Glyphs, ground: Ground, line: usize) -> Zeroizing<String> {
    let side = side(code, glyphs);
    let inked = |column: usize, row: usize| {
        let quiet = quiet(glyphs);
        // In the quiet zone there is no module, and nothing is dark; below an odd side's last line there is nothing at all.
        let dark = matches!((column.checked_sub(quiet), row.checked_sub(quiet)),
            (Some(column), Some(row)) if code.is_dark(column, row));
        row < side && dark != (ground == Ground::Dark)
    };
    // Room at once: a growing String would leave copies of the secret behind.
    let mut out = Zeroizing::new(String::with_capacity(side.saturating_mul(32)));
    let named = ground == Ground::Named;
    if named {
        out.push_str(BLACK_ON_WHITE);
    }
    for column in 0..side {
        match glyphs {
            Glyphs::HalfBlocks => {
                let upper = line.saturating_mul(2);
                let lower = upper.saturating_add(1);
                out.push(half_block(inked(column, upper), inked(column, lower)));
            }
            Glyphs::Ascii => match (inked(column, line), named) {
                (true, true) => out.extend([SOLID_BLACK, "##", BLACK_ON_WHITE]),
                (true, false) => out.push_str("##"),
                (false, _) => out.push_str("  "),
            },
        }
    }
    if named {
        out.push_str(RESET);
    }
    out
}

fn half_block(upper: bool, lower: bool) -> char {
    match (upper, lower) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic)] // counting pixels
mod tests {
    use super::*;
    use crate::COMFORTABLE_MODULES;

    const TEXT: &str =
        "otpauth://totp/web1:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=web1";
    const PIXELS: usize = 4;
    const BOTH: [Glyphs; 2] = [Glyphs::HalfBlocks, Glyphs::Ascii];

    fn drawing(code: &Code, glyphs: Glyphs, ground: Ground) -> Vec<String> {
        lines(code, glyphs, ground).iter().map(|line| line.as_str().to_owned()).collect()
    }

    /// What the eye sees: a picture of a terminal of this `ground`, whose characters have the opposite brightness.
    fn screen(lines: &[String], ground: u8) -> (usize, usize, Vec<u8>) {
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

    fn read(lines: &[String], ground: u8) -> Option<String> {
        let (width, height, cells) = screen(lines, ground);
        // A cell is twice as high as wide; `screen` halves it, so pixels are square.
        let mut picture =
            rqrr::PreparedImage::prepare_from_greyscale(width * PIXELS, height * PIXELS, |x, y| {
                cells[(y / PIXELS) * width + x / PIXELS]
            });
        Some(picture.detect_grids().first()?.decode().ok()?.1)
    }

    #[test]
    fn named_colours_are_read_from_dark_and_light_terminals() {
        let code = Code::new(TEXT).unwrap();
        for glyphs in BOTH {
            for ground in [0, 40, 255] {
                let lines = drawing(&code, glyphs, Ground::Named);
                assert_eq!(read(&lines, ground).as_deref(), Some(TEXT), "{glyphs:?} on {ground}");
                assert!(lines.iter().all(|line| line.ends_with(RESET)));
            }
        }
    }

    #[test]
    fn without_escape_sequences_the_ground_decides_what_gets_the_ink() {
        for text in [TEXT, &"x".repeat(106)] {
            let code = Code::new(text).unwrap();
            for glyphs in BOTH {
                for (ground, brightness) in
                    [(Ground::Light, 255), (Ground::Dark, 0), (Ground::Dark, 40)]
                {
                    let lines = drawing(&code, glyphs, ground);
                    assert_eq!(read(&lines, brightness).as_deref(), Some(text), "{glyphs:?}");
                    assert!(!lines.concat().contains('\x1b'));
                }
            }
        }
    }

    #[test]
    fn ascii_is_ascii() {
        let code = Code::new(TEXT).unwrap();
        assert!(drawing(&code, Glyphs::Ascii, Ground::Dark).concat().is_ascii());
    }

    #[test]
    fn the_largest_comfortable_code_leaves_three_lines_of_eighty_by_twenty_four() {
        let code = Code::new(&"x".repeat(106)).unwrap();
        assert_eq!(code.modules(), COMFORTABLE_MODULES);
        let size = Size::of(&code, Glyphs::HalfBlocks);
        assert_eq!(size, Size { columns: 41, lines: 21 });
        let terminal = Size { columns: 80, lines: 24 };
        assert!(size.fits(terminal, 3) && !size.fits(terminal, 4));
        assert_eq!(Size::of(&code, Glyphs::Ascii), Size { columns: 78, lines: 39 });
    }

    #[test]
    fn every_line_is_as_wide_as_announced() {
        let code = Code::new(TEXT).unwrap();
        for glyphs in BOTH {
            for ground in [Ground::Light, Ground::Dark] {
                let size = Size::of(&code, glyphs);
                let lines = drawing(&code, glyphs, ground);
                assert_eq!(lines.len(), size.lines);
                assert!(lines.iter().all(|line| line.chars().count() == size.columns));
            }
        }
    }

    #[test]
    fn a_comfortable_code_is_one_call_of_short_pam_messages() {
        const MOST_MESSAGES: usize = 32; // PAM_MAX_NUM_MSG
        const MOST_BYTES: usize = 512; // PAM_MAX_MSG_SIZE
        let code = Code::new(&"x".repeat(106)).unwrap();
        for ground in [Ground::Light, Ground::Dark] {
            assert!(lines(&code, Glyphs::HalfBlocks, ground).len() < MOST_MESSAGES);
            for glyphs in BOTH {
                assert!(lines(&code, glyphs, ground).iter().all(|line| line.len() < MOST_BYTES));
            }
        }
    }

    #[test]
    fn no_line_outgrows_the_room_made_for_it() {
        // Every other module dark, as nearly as a code can be: the most escape sequences.
        let code = Code::new(&"x".repeat(2900)).unwrap();
        for glyphs in BOTH {
            let room = side(&code, glyphs) * 32;
            assert!(lines(&code, glyphs, Ground::Named).iter().all(|line| line.len() <= room));
        }
    }
}
