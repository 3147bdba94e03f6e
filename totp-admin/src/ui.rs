//! The rules for output, and everything that speaks to the person or the script at the other end.
//!
//! - Results go to standard output; questions, remarks, warnings and errors to standard error.
//! - With `--json` exactly one JSON document is on standard output (`log`: one a line) and nothing else;
//!   `completions` and `man`, whose text is for other programs, refuse it.
//! - Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
//! - An error says what failed, on which path, and what to do about it.
//! - No colour where the output is no terminal, or NO_COLOR is set (but a QR code's black and white are
//!   the picture itself); nothing but ASCII of our own where the locale is not UTF-8.
//! - "Are you sure" is asked on a terminal only; `--yes` skips it.
//! - Text from outside (names, reasons, addresses) is escaped: it moves no cursor.
//! - A secret is written by `enroll` alone.

use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use totp_core::visible::is_hidden;
use totp_qr::Size;
use zeroize::Zeroizing;

use crate::cli::Global;

/// The longest line read from standard input, in bytes: an otpauth URI is a few hundred.
const LINE_LIMIT: u64 = 8192;

/// How this run speaks and listens.
pub struct Ui {
    json: bool,
    yes: bool,
    utf8: bool,
}

impl Ui {
    /// Looks at the options and the locale.
    pub fn new(global: &Global) -> Self {
        let utf8 = locale_is_utf8(|name| std::env::var(name).ok());
        Self { json: global.json, yes: global.yes, utf8 }
    }

    /// Whether the result is to be JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Whether the locale's characters are UTF-8.
    pub fn utf8(&self) -> bool {
        self.utf8
    }

    /// Whether somebody answers at standard input.
    pub fn interactive(&self) -> bool {
        io::stdin().is_terminal()
    }

    /// A line of the result, for people.
    pub fn result(&self, line: impl fmt::Display) -> Result<()> {
        if !self.json {
            writeln!(anstream::stdout(), "{line}")?;
        }
        Ok(())
    }

    /// Text of the result as it is: a drawing that brings its own line ends and colours.
    pub fn picture(&self, text: &str) -> Result<()> {
        if !self.json {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
        Ok(())
    }

    /// The last line of a result: it is done.
    pub fn done(&self, line: impl fmt::Display) -> Result<()> {
        let tick = if self.utf8 { "✓" } else { "ok:" };
        let green = AnsiColor::Green.on_default();
        self.result(format_args!("{green}{tick}{green:#} {line}"))
    }

    /// Something besides the result that went well.
    pub fn told(&self, line: impl fmt::Display) {
        let tick = if self.utf8 { "✓" } else { "ok:" };
        let green = AnsiColor::Green.on_default();
        self.note(format_args!("{green}{tick}{green:#} {line}"));
    }

    /// The result as a document.
    pub fn document(&self, value: &impl Serialize) -> Result<()> {
        if self.json {
            let mut out = io::stdout().lock();
            serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
            out.flush()?;
        }
        Ok(())
    }

    /// For commands whose result is a text for other programs: `--json` is wrong usage there.
    pub fn no_document(&self, command: &str) -> Result<()> {
        if self.json {
            bail!(Usage(format!("{command} prints no JSON: leave --json out")));
        }
        Ok(())
    }

    /// A remark.
    pub fn note(&self, line: impl fmt::Display) {
        // Who closed standard error does not want to know.
        let _ = writeln!(anstream::stderr(), "{line}");
    }

    /// What somebody should know before going on.
    pub fn warn(&self, line: impl fmt::Display) {
        let yellow = AnsiColor::Yellow.on_default();
        self.note(format_args!("{yellow}!{yellow:#} {line}"));
    }

    /// Puts a question and reads the answer, a line without its end; `None` at the end of the input.
    /// Where nobody sits there the line is read without a question.
    pub fn ask(&self, question: impl fmt::Display) -> Result<Option<Zeroizing<String>>> {
        if self.interactive() {
            io::stdout().flush()?;
            let mut err = anstream::stderr();
            let _ = write!(err, "{question} ");
            let _ = err.flush();
        }
        read_line()
    }

    /// Whether to go on. Asked on a terminal only, and not with `--yes`; anything but yes is no.
    pub fn confirm(&self, question: impl fmt::Display) -> Result<bool> {
        if self.yes || !self.interactive() {
            return Ok(true);
        }
        let answer = self.ask(format_args!("{question} [y/N]"))?.unwrap_or_default();
        Ok(["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes)))
    }

    /// [`Self::confirm`], with "no" as an error that changes nothing.
    pub fn insist(&self, question: impl fmt::Display) -> Result<()> {
        if self.confirm(question)? { Ok(()) } else { bail!("not confirmed; nothing was changed") }
    }
}

/// A line of standard input, without its end; `None` at the end of the input.
pub fn read_line() -> Result<Option<Zeroizing<String>>> {
    let mut line = Zeroizing::new(String::new());
    let mut limited = io::Read::take(io::stdin().lock(), LINE_LIMIT);
    let read = limited.read_line(&mut line).context("cannot read standard input")?;
    if read == 0 {
        return Ok(None);
    }
    if limited.limit() == 0 && !line.ends_with('\n') {
        bail!("a line on standard input is longer than {LINE_LIMIT} bytes");
    }
    let length = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(length);
    Ok(Some(line))
}

/// The size of the terminal at standard output, `None` where there is none.
pub fn terminal() -> Option<Size> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let (width, height) = terminal_size::terminal_size_of(io::stdout())?;
    Some(Size { columns: width.0.into(), lines: height.0.into() })
}

/// Whether the terminal at standard output knows colours.
pub fn terminal_has_colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// Bold, where there is any.
pub fn bold(text: impl fmt::Display) -> String {
    let bold = Style::new().bold();
    format!("{bold}{text}{bold:#}")
}

/// Text from outside, fit for a terminal: characters that act there, or are not seen, are escaped.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The locale's character set by the rules of setlocale(3): the first variable that is set and not empty.
fn locale_is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
    let charset = locale.split('@').next().and_then(|name| name.split_once('.'));
    charset
        .is_some_and(|(_, set)| ["utf-8", "utf8"].iter().any(|utf8| set.eq_ignore_ascii_case(utf8)))
}

/// An error with what to do about it on a line of its own.
#[derive(Debug)]
pub struct Advice {
    what: String,
    advice: String,
}

impl Advice {
    /// `what` failed (no full stop); `advice` is a sentence.
    pub fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into() }
    }

    /// Both, where it is one line of several.
    pub fn in_one_line(&self) -> String {
        format!("{}. {}", self.what, self.advice)
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Advice {}

/// Wrong usage that the definition of the command line cannot express: exit code 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The answer is on standard output already, and it is no: exit code 1 without a further word.
#[derive(Debug)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// Says what went wrong, and gives the exit code for it.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<Refused>() {
        return ExitCode::from(1);
    }
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return ExitCode::from(1); // `totp-admin log | head`: nobody is left to tell
    }
    let red = AnsiColor::Red.on_default();
    let mut err = anstream::stderr();
    let _ = writeln!(err, "{red}totp-admin:{red:#} {}", printable(&format!("{error:#}")));
    if let Some(advice) = error.downcast_ref::<Advice>() {
        let _ = writeln!(err, "  {}", advice.advice);
    }
    if error.is::<Usage>() {
        let _ = writeln!(err, "  See totp-admin --help.");
        return ExitCode::from(2);
    }
    ExitCode::from(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locale(all: &str, ctype: &str, lang: &str) -> bool {
        locale_is_utf8(|name| {
            Some(match name {
                "LC_ALL" => all.to_owned(),
                "LC_CTYPE" => ctype.to_owned(),
                _ => lang.to_owned(),
            })
        })
    }

    #[test]
    fn the_first_variable_that_is_set_names_the_locale() {
        assert!(locale("", "", "en_US.UTF-8"));
        assert!(locale("", "C.utf8", "C"));
        assert!(locale("de_DE.UTF-8@euro", "C", "C"));
        assert!(!locale("C", "en_US.UTF-8", "en_US.UTF-8"));
        assert!(!locale("", "POSIX", "en_US.UTF-8"));
        assert!(!locale("", "", "en_US.ISO-8859-1"));
        assert!(!locale_is_utf8(|_| None));
    }

    #[test]
    fn text_from_outside_moves_no_cursor() {
        assert_eq!(printable("phone stolen, 03:10"), "phone stolen, 03:10");
        assert_eq!(printable("Söhne"), "Söhne");
        assert_eq!(printable("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(printable("a\u{202e}b\u{9b}c"), "a\\u{202e}b\\u{9b}c");
        assert_eq!(printable("bob\u{200b}\u{e0041}"), "bob\\u{200b}\\u{e0041}");
    }

    #[test]
    fn no_hidden_character_reaches_a_terminal() {
        let all: String = ('\0'..=char::MAX).collect();
        assert!(!printable(&all).contains(is_hidden));
    }
}
