//! QR codes as files. Whoever has the file has the second factor: it is made for root alone, and nothing
//! that exists is ever overwritten or followed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use totp_qr::Code;

use crate::signals;
use crate::ui::Advice;

/// The light ground around the code, in modules (ISO/IEC 18004 wants four).
const QUIET: usize = 4;
/// Pixels a module.
const SCALE: usize = 8;

/// The formats a file's name may ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// Scalable Vector Graphics.
    Svg,
}

impl Format {
    /// The format a file name asks for by its ending.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        [("png", Self::Png), ("svg", Self::Svg)]
            .into_iter()
            .find(|(name, _)| ending.eq_ignore_ascii_case(name))
            .map(|(_, format)| format)
    }
}

/// A new file with a QR code in it, removed again unless it is kept.
#[must_use]
pub struct Picture {
    path: PathBuf,
    keep: bool,
}

impl Picture {
    /// Makes the file, mode 0600. An existing one is an error, whatever it is.
    pub fn write(path: &Path, format: Format, code: &Code) -> Result<Self> {
        let content = match format {
            Format::Png => png(code).with_context(|| format!("cannot draw {}", path.display()))?,
            Format::Svg => svg(code).into_bytes(),
        };
        let hold = signals::hold();
        let mut file = create(path)?;
        // From here on a failure takes the file away again, and so does a signal.
        signals::erase_if_ended(path);
        drop(hold);
        let picture = Self { path: path.to_owned(), keep: false };
        file.write_all(&content)
            .and_then(|()| file.sync_all())
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(picture)
    }

    /// Leaves the file where it is.
    pub fn keep(mut self) {
        self.keep = true;
        signals::no_longer_erased(&self.path);
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        if !self.keep {
            // Best effort: the secret in it was never switched on.
            let _ = fs::remove_file(&self.path);
            signals::no_longer_erased(&self.path);
        }
    }
}

/// Whether a file could be made there, as far as that can be told without making it.
pub fn look_for_room(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(cannot_make(path, &io::Error::from(io::ErrorKind::AlreadyExists)));
    }
    // An empty parent is the working directory.
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    fs::metadata(above.unwrap_or(Path::new("."))).map_err(|error| cannot_make(path, &error))?;
    Ok(())
}

fn create(path: &Path) -> Result<File> {
    // O_EXCL follows no link and opens nothing that is there.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|error| cannot_make(path, &error))
}

fn cannot_make(path: &Path, error: &io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        io::ErrorKind::AlreadyExists => "Name a file that does not exist yet.",
        io::ErrorKind::NotFound => "Name a file in a directory that exists.",
        _ => "Name a file in a directory where root can write.",
    };
    Advice::new(format!("cannot make {}: {error}", path.display()), advice).into()
}

fn svg(code: &Code) -> String {
    let side = code.modules().saturating_add(QUIET.saturating_mul(2));
    let pixels = side.saturating_mul(SCALE);
    let modules = (0..code.modules()).flat_map(|row| (0..code.modules()).map(move |at| (at, row)));
    let dark: String = modules
        .filter(|(column, row)| code.is_dark(*column, *row))
        .map(|(column, row)| {
            let (x, y) = (column.saturating_add(QUIET), row.saturating_add(QUIET));
            format!("M{x} {y}h1v1h-1z")
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" standalone=\"yes\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{pixels}\" height=\"{pixels}\" \
         viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\n\
         <path fill=\"#ffffff\" d=\"M0 0h{side}v{side}h-{side}z\"/>\n\
         <path fill=\"#000000\" d=\"{dark}\"/>\n</svg>\n"
    )
}

fn png(code: &Code) -> Result<Vec<u8>> {
    let side = code.modules().saturating_add(QUIET.saturating_mul(2)).saturating_mul(SCALE);
    // Integer division by a constant that is not zero.
    let module = |pixel: usize| pixel.checked_div(SCALE).and_then(|at| at.checked_sub(QUIET));
    let pixel = |x: usize, y: usize| match (module(x), module(y)) {
        (Some(column), Some(row)) if code.is_dark(column, row) => 0,
        _ => 255,
    };
    let pixels: Vec<u8> = (0..side).flat_map(|y| (0..side).map(move |x| pixel(x, y))).collect();

    let mut content = Vec::new();
    let length = u32::try_from(side)?;
    let mut encoder = png::Encoder::new(&mut content, length, length);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(content)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // counting pixels
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    const TEXT: &str = "otpauth://totp/web1:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

    fn decode_png(content: &[u8]) -> String {
        let mut reader = png::Decoder::new(io::Cursor::new(content)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let side = reader.next_frame(&mut pixels).unwrap().width as usize;
        let mut picture =
            rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| pixels[y * side + x]);
        picture.detect_grids()[0].decode().unwrap().1
    }

    #[test]
    fn a_png_can_be_read_back_and_is_roots_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alice.PNG");
        let format = Format::of(&path).unwrap();
        Picture::write(&path, format, &Code::new(TEXT).unwrap()).unwrap().keep();
        assert_eq!(decode_png(&fs::read(&path).unwrap()), TEXT);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn an_svg_is_dark_on_light_whatever_the_page_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alice.svg");
        Picture::write(&path, Format::Svg, &Code::new(TEXT).unwrap()).unwrap().keep();
        let content = fs::read_to_string(&path).unwrap();
        assert_eq!(decode_svg(&content), TEXT);
    }

    /// Paints what the two paths say.
    fn decode_svg(content: &str) -> String {
        let between = |from: &str, to: &str| -> String {
            content.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned()
        };
        let side: usize = between("viewBox=\"0 0 ", " ").parse().unwrap();
        assert!(content.contains(&format!("fill=\"#ffffff\" d=\"M0 0h{side}v{side}h-{side}z\"")));
        let mut dark = vec![false; side * side];
        for one in between("fill=\"#000000\" d=\"M", "\"").split("h1v1h-1z") {
            if let Some((x, y)) = one.trim_start_matches('M').split_once(' ') {
                dark[y.parse::<usize>().unwrap() * side + x.parse::<usize>().unwrap()] = true;
            }
        }
        let brightness = |x: usize, y: usize| {
            if dark[(y / SCALE) * side + x / SCALE] { 0 } else { 255 }
        };
        let pixels = side * SCALE;
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(pixels, pixels, brightness);
        picture.detect_grids()[0].decode().unwrap().1
    }

    #[test]
    fn nothing_that_exists_is_overwritten_or_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("a.png"), dir.path().join("b.png"));
        fs::write(&file, "kept").unwrap();
        symlink(dir.path().join("elsewhere"), &link).unwrap();
        for path in [&file, &link] {
            let code = Code::new(TEXT).unwrap();
            assert!(Picture::write(path, Format::Png, &code).is_err());
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn a_picture_that_is_not_kept_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        let picture = Picture::write(&path, Format::Png, &Code::new(TEXT).unwrap()).unwrap();
        assert!(path.exists());
        drop(picture);
        assert!(!path.exists());
    }

    #[test]
    fn the_ending_names_the_format() {
        assert_eq!(Format::of(Path::new("a.b/c.svg")), Some(Format::Svg));
        assert_eq!(Format::of(Path::new("a.jpg")), None);
        assert_eq!(Format::of(Path::new("png")), None);
    }
}
