//! What an administrator copies: the blocks of lines in `README.md`, `docs/programs.md` and the man pages, as they are
//! written there.

use std::fs;
use std::path::Path;

/// A page of the documentation.
#[derive(Debug)]
pub struct Page {
    text: String,
    /// How a heading begins.
    heading: &'static str,
    /// The line before a block, and the one behind it.
    fences: (&'static str, &'static str),
}

/// `README.md`; its headings begin with `#`.
#[must_use]
pub fn readme() -> Page {
    Page { text: read("README.md"), heading: "#", fences: ("```", "```") }
}

/// `docs/programs.md`; its headings begin with `#`.
#[must_use]
pub fn guide() -> Page {
    Page { text: read("docs/programs.md"), ..readme() }
}

/// A man page that is written by hand, by the name of its file; its headings begin with `.S`.
#[must_use]
pub fn manual(name: &str) -> Page {
    let text = read(&format!("docs/man/{name}")).replace("\\-", "-");
    Page { text, heading: ".S", fences: (".nf", ".fi") }
}

impl Page {
    /// The one block below this heading with `word` in it, without the blanks that indent it.
    ///
    /// # Panics
    ///
    /// Where there is none, or more than one.
    #[must_use]
    pub fn block(&self, heading: &str, word: &str) -> String {
        let lines = self.text.lines().skip_while(|line| *line != heading).skip(1);
        let section = lines.take_while(|line| !line.starts_with(self.heading));
        let mut blocks: Vec<String> = Vec::new();
        let mut inside = false;
        for line in section {
            let fence = if inside { self.fences.1 } else { self.fences.0 };
            if line.trim_start().starts_with(fence) {
                inside = !inside;
                if inside {
                    blocks.push(String::new());
                }
            } else if inside && let Some(block) = blocks.last_mut() {
                block.push_str(line.trim());
                block.push('\n');
            }
        }
        blocks.retain(|block| block.contains(word));
        assert_eq!(blocks.len(), 1, "below {heading:?}, with {word:?}: {blocks:?}");
        blocks.remove(0)
    }
}

fn read(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(name)).unwrap()
}
