//! What the person with the phone gets to see: the QR code, and the key to type in. The one place where a
//! secret goes to a terminal or a file.

use anyhow::Result;
use totp_qr::{Code, Glyphs, Size};
use zeroize::Zeroizing;

use crate::cli::{Enroll, Qr};
use crate::qr::picture::{self, Format, Picture};
use crate::qr::terminal::{choose, draw};
use crate::ui::{self, Advice, Ui, Usage, printable};

/// What is shown of a new authenticator.
pub struct Shown {
    /// The otpauth text.
    pub uri: Zeroizing<String>,
    /// The key in groups of four.
    pub key: Zeroizing<String>,
    /// What the app will call the entry.
    pub label: String,
}

/// How somebody sits at the other end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interactive<'a> {
    /// The person asked for a second drawing, without half blocks.
    pub ascii: bool,
    /// The command for where the one with the phone is not here.
    pub elsewhere: Option<&'a str>,
}

/// Where the QR code goes, checked before anything else happens.
pub struct Display {
    glyphs: Option<Glyphs>,
    file: Option<(std::path::PathBuf, Format)>,
    /// Whether the key is said.
    key: bool,
}

impl Display {
    /// By the options and the locale. An authenticator whose secret was brought along is known to its app
    /// already; it is shown only where that is asked for.
    pub fn new(args: &Enroll, locale_is_utf8: bool) -> Result<Self> {
        let file = match &args.qr_file {
            None => None,
            Some(path) => Some((
                path.clone(),
                Format::of(path).ok_or_else(|| {
                    Usage(format!(
                        "--qr-file {}: the name must end in .png or .svg",
                        path.display()
                    ))
                })?,
            )),
        };
        if let Some((path, _)) = &file {
            picture::look_for_room(path)?;
        }
        let drawn = matches!(args.qr, Qr::Utf8 | Qr::Ascii);
        let brought_along = args.secret_file.is_some() && !drawn;
        let glyphs = if brought_along { None } else { choose(args.qr, locale_is_utf8) };
        Ok(Self { glyphs, file, key: !brought_along })
    }

    /// Makes the file, draws the code, says the key. The file is gone again unless it is kept.
    pub fn show(
        &self,
        ui: &Ui,
        user: &str,
        shown: &Shown,
        how: Option<Interactive<'_>>,
    ) -> Result<Option<Picture>> {
        let Interactive { ascii, elsewhere } = how.unwrap_or_default();
        let picture = match &self.file {
            Some((path, format)) if !ascii => {
                Some(Picture::write(path, *format, &Code::new(&shown.uri)?)?)
            }
            _ => None,
        };
        if ui.json() {
            return Ok(picture);
        }
        if let Some((path, _)) = self.file.as_ref().filter(|_| picture.is_some()) {
            ui.note(format_args!("The QR code is in {}; erase it after use.", path.display()));
        }
        // Nobody could use what was not shown: this ends it before anything is switched on.
        self.say(ui, user, shown, Interactive { ascii, elsewhere }).map_err(|error| {
            Advice::new(
                format!("the key could not be shown: {error:#}; nothing was changed"),
                "Standard output must take all of it.",
            )
        })?;
        Ok(picture)
    }

    fn say(&self, ui: &Ui, user: &str, shown: &Shown, how: Interactive<'_>) -> Result<()> {
        let Interactive { ascii, elsewhere } = how;
        let key = format!("type this key: {} ({})", shown.key.as_str(), printable(&shown.label));
        let key = Zeroizing::new(key);
        let glyphs = if ascii && self.key { Some(Glyphs::Ascii) } else { self.glyphs };
        let drawn = match glyphs {
            Some(glyphs) => draw_if_it_fits(ui, (glyphs, elsewhere), user, shown, &key)?,
            None => false,
        };
        if drawn {
            ui.result(format_args!("Or {}", key.as_str()))?;
        } else if self.key {
            ui.result(format_args!("For {}'s app, {}", printable(user), key.as_str()))?;
        }
        Ok(())
    }
}

fn draw_if_it_fits(
    ui: &Ui,
    (glyphs, elsewhere): (Glyphs, Option<&str>),
    user: &str,
    shown: &Shown,
    key: &str,
) -> Result<bool> {
    let Ok(code) = Code::new(&shown.uri) else {
        ui.warn("The key is too long for a QR code.");
        return Ok(false);
    };
    let size = Size::of(&code, glyphs);
    if let Some(terminal) = ui::terminal() {
        // Below the code: the key, which may take several lines, and the prompt.
        let columns = terminal.columns.max(1);
        let key_lines = key.chars().count().saturating_add(3).div_ceil(columns);
        if !size.fits(terminal, key_lines.saturating_add(1)) {
            ui.warn(format_args!(
                "No QR code: it takes {size} characters and lines for the key below; this terminal has {terminal}."
            ));
            ui.note(way_out(glyphs, ui.utf8()));
            return Ok(false);
        }
    }
    let way_out = elsewhere.map(|command| format!(" (Not here? Ctrl-C; {command})"));
    ui.result(format_args!("Scan with {}'s app.{}", printable(user), way_out.unwrap_or_default()))?;
    let drawing = draw(&code, glyphs, ui::terminal_has_colours());
    ui.picture(&drawing)?;
    Ok(true)
}

fn way_out(glyphs: Glyphs, locale_is_utf8: bool) -> &'static str {
    if glyphs == Glyphs::Ascii && !locale_is_utf8 {
        "  Type the key in; or break off (Ctrl-C) and use --qr utf8, a larger terminal, or --qr-file FILE.png."
    } else {
        "  Type the key in; or break off (Ctrl-C) and use a larger terminal, or --qr-file FILE.png."
    }
}
