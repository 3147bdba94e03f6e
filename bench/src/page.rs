//! Puts the tables into the page that explains them.

use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- measured by make bench: begin -->\n";
const END: &str = "<!-- measured by make bench: end -->\n";

/// Replaces what is between the two marks.
pub(crate) fn put(page: &Path, text: &str) {
    let old = fs::read_to_string(page).expect("the page can be read");
    let new = between(&old, text).unwrap_or_else(|| panic!("{} lacks the marks", page.display()));
    fs::write(page, new).expect("the page can be written");
}

fn between(page: &str, text: &str) -> Option<String> {
    let (head, rest) = page.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n{}\n\n{END}{tail}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_around_the_marks_stays() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let new = between(&page, "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n\n{END}after\n"));
        assert_eq!(between(&new, "new").unwrap(), new);
    }

    #[test]
    fn a_page_without_marks_is_not_written() {
        assert_eq!(between(&format!("{BEGIN} and no end"), "new"), None);
        assert_eq!(between("nothing", "new"), None);
    }
}
