//! What a terminal shows, as a picture, and the QR code in it.
//!
//! tmux is the terminal: it interprets what the program writes and tells, cell by cell, which character in
//! which colours stands on its screen. From that a picture is painted, as an eye or a camera would see it,
//! once for a person who has white on black and once for one who has black on white.

use std::thread;
use std::time::{Duration, Instant};

use crate::{House, SOON};

/// A terminal with a program on it.
#[derive(Debug)]
pub struct Screen<'a> {
    house: &'a House,
}

/// The colours of a person's terminal where the program doesn't say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Light text on a dark ground.
    Dark,
    /// Dark text on a light ground.
    Light,
}

/// Pixels of a cell: as wide as half as high, as in most fonts.
const WIDTH: usize = 4;
const HEIGHT: usize = 8;

const SOCKET: &str = "/run/tmux";

impl<'a> Screen<'a> {
    /// Opens a terminal of 80 columns and 24 rows in the house and runs `command`, which the shell reads.
    #[must_use]
    pub fn open(house: &'a House, command: &str) -> Self {
        Self::open_sized(house, (80, 24), command)
    }

    /// The same with so many columns and rows.
    #[must_use]
    pub fn open_sized(house: &'a House, (columns, rows): (u16, u16), command: &str) -> Self {
        let screen = Self { house };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let held = format!("{command}; echo \"over: $?\"; exec sleep 600");
        let size = ["-x", &columns, "-y", &rows];
        let mut arguments = vec!["-f", "/dev/null", "new-session", "-d"];
        arguments.extend(size);
        arguments.extend(["sh", "-c", &held]);
        screen.tmux(&arguments);
        screen
    }

    /// Types `text` and Enter.
    pub fn type_line(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.tmux(&["send-keys", "Enter"]);
    }

    /// Waits until the screen shows `text`, and gives all rows.
    ///
    /// # Panics
    ///
    /// With the screen as it is, if that does not happen [`SOON`].
    #[must_use]
    pub fn expect(&self, text: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let rows = self.tmux(&["capture-pane", "-p"]);
            if rows.contains(text) {
                return rows;
            }
            assert!(Instant::now() < deadline, "no {text:?} on the screen:\n{rows}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The text of the one QR code on the screen, as a camera reads it.
    ///
    /// # Panics
    ///
    /// If there is none, or several, or one that can't be read.
    #[must_use]
    pub fn qr_code(&self, theme: Theme) -> String {
        let captured = self.tmux(&["capture-pane", "-p", "-e", "-N"]);
        let picture = paint(&captured, theme);
        let width = picture.first().map_or(0, Vec::len);
        let mut image =
            rqrr::PreparedImage::prepare_from_greyscale(width, picture.len(), |x, y| picture[y][x]);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1, "QR codes on the screen ({theme:?}):\n{captured}");
        grids[0].decode().expect("a camera reads the code").1
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        self.house.run("tmux", &[&["-S", SOCKET], arguments].concat())
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        let _ = self.house.attempt("tmux", &["-S", SOCKET, "kill-server"]);
    }
}

/// Foreground and background of what follows, as shades of grey.
#[derive(Clone, Copy)]
struct Colours {
    foreground: u8,
    background: u8,
    reversed: bool,
}

impl Colours {
    fn of(theme: Theme) -> Self {
        let (foreground, background) = match theme {
            Theme::Dark => (0xd0, 0x00),
            Theme::Light => (0x10, 0xff),
        };
        Self { foreground, background, reversed: false }
    }

    /// Obeys one `ESC [ … m`.
    fn obey(&mut self, parameters: &str, theme: Theme) {
        let mut numbers = parameters.split([';', ':']).map(|n| n.parse::<u8>().unwrap_or(0));
        while let Some(number) = numbers.next() {
            match number {
                0 => *self = Self::of(theme),
                7 => self.reversed = true,
                27 => self.reversed = false,
                30..=37 => self.foreground = grey_of_palette(number - 30),
                38 => self.foreground = extended(&mut numbers),
                39 => self.foreground = Self::of(theme).foreground,
                40..=47 => self.background = grey_of_palette(number - 40),
                48 => self.background = extended(&mut numbers),
                49 => self.background = Self::of(theme).background,
                90..=97 => self.foreground = grey_of_palette(number - 90 + 8),
                100..=107 => self.background = grey_of_palette(number - 100 + 8),
                _ => {}
            }
        }
    }

    fn pair(self) -> (u8, u8) {
        match self.reversed {
            false => (self.foreground, self.background),
            true => (self.background, self.foreground),
        }
    }
}

fn extended(numbers: &mut impl Iterator<Item = u8>) -> u8 {
    match numbers.next() {
        Some(5) => grey_of_palette(numbers.next().unwrap_or(0)),
        _ => {
            let rgb: Vec<u32> = numbers.take(3).map(u32::from).collect();
            u8::try_from(rgb.iter().sum::<u32>() / 3).unwrap_or(0)
        }
    }
}

/// The brightness of a colour of the usual palette of 256.
fn grey_of_palette(colour: u8) -> u8 {
    match colour {
        0 => 0,
        7 => 0xc0,
        8 => 0x70,
        15 => 0xff,
        1..=14 => 0x80,
        232..=255 => (colour - 232) * 10 + 8,
        16..=231 => {
            let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * u32::from(n) };
            let cube = colour - 16;
            let sum = level(cube / 36) + level(cube / 6 % 6) + level(cube % 6);
            u8::try_from(sum / 3).unwrap_or(0xff)
        }
    }
}

/// Paints rows of text with colour sequences as rows of pixels.
fn paint(captured: &str, theme: Theme) -> Vec<Vec<u8>> {
    let mut colours = Colours::of(theme);
    let ground = colours.background;
    let rows: Vec<Vec<Vec<u8>>> =
        captured.lines().map(|line| paint_row(line, &mut colours, theme)).collect();
    let mut picture: Vec<Vec<u8>> = rows.into_iter().flatten().collect();
    let width = picture.iter().map(Vec::len).max().unwrap_or(0);
    for row in &mut picture {
        row.resize(width, ground);
    }
    picture
}

fn paint_row(line: &str, colours: &mut Colours, theme: Theme) -> Vec<Vec<u8>> {
    let mut pixels = vec![Vec::new(); HEIGHT];
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        if character == '\u{1b}' {
            let sequence: String = rest.by_ref().take_while(|c| !c.is_ascii_alphabetic()).collect();
            colours.obey(sequence.trim_start_matches('['), theme);
            continue;
        }
        let (foreground, background) = colours.pair();
        let (upper, lower) = match character {
            '█' | '#' => (foreground, foreground),
            '▀' => (foreground, background),
            '▄' => (background, foreground),
            _ => (background, background),
        };
        for (y, row) in pixels.iter_mut().enumerate() {
            let shade = if y < HEIGHT / 2 { upper } else { lower };
            row.extend([shade; WIDTH]);
        }
    }
    pixels
}
