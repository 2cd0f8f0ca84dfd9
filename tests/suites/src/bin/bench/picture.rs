//! Pictures of figures as SVG, readable in a light and in a dark page.

use std::fmt::Write;

/// One bar: a name, and its parts from the left.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) parts: Vec<(String, f64)>,
}

impl Bar {
    fn total(&self) -> f64 {
        self.parts.iter().map(|(_, value)| value).sum()
    }
}

const WIDTH: f64 = 820.0;
/// Where the bars begin: names stand to the left of it.
const LEFT: f64 = 290.0;
/// Space to the right of the longest bar, for its figure.
const RIGHT: f64 = 90.0;
const TOP: f64 = 46.0;
const ROW: f64 = 30.0;
const THICK: f64 = 18.0;
const LEGEND: f64 = 30.0;

/// Colours by Okabe and Ito: told apart by the colour-blind, seen on white and on black.
const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];

/// Draws horizontal bars with the same scale; parts with the same name have the same colour.
pub(crate) fn bars(title: &str, unit: &str, all: &[Bar]) -> String {
    let kinds = kinds(all);
    let longest = all.iter().map(Bar::total).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / longest;
    let legend = if kinds.len() > 1 { LEGEND } else { 0.0 };
    let rows = f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX));
    let height = ROW.mul_add(rows, TOP) + legend;
    let mut svg = head(title, height);
    let mut y = TOP;
    for bar in all {
        let middle = y + THICK / 2.0;
        text(&mut svg, LEFT - 10.0, middle, "end", &bar.name);
        let mut x = LEFT;
        for (kind, value) in &bar.parts {
            let width = value * scale;
            let colour = kinds.iter().position(|known| known == kind).unwrap_or_default();
            let colour = COLOURS.get(colour % COLOURS.len()).unwrap_or(&"#888888");
            let _ = writeln!(
                svg,
                r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{THICK}" fill="{colour}"><title>{}: {} {unit}</title></rect>"#,
                escaped(kind),
                figure(*value)
            );
            x += width;
        }
        text(&mut svg, x + 8.0, middle, "start", &format!("{} {unit}", figure(bar.total())));
        y += ROW;
    }
    if kinds.len() > 1 {
        draw_legend(&mut svg, &kinds, y + 4.0);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The names of parts, in the order of their first appearance.
fn kinds(all: &[Bar]) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for (kind, _) in all.iter().flat_map(|bar| &bar.parts) {
        if !kinds.contains(kind) {
            kinds.push(kind.clone());
        }
    }
    kinds
}

fn head(title: &str, height: f64) -> String {
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">
<title>{title}</title>
<style>
text {{ font: 13px sans-serif; fill: #1f2328; dominant-baseline: central; }}
.title {{ font-weight: bold; }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3; }} }}
</style>
<text class="title" x="10" y="20">{title}</text>
"#,
        title = escaped(title)
    )
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let _ = writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
        escaped(words)
    );
}

fn draw_legend(svg: &mut String, kinds: &[String], y: f64) {
    let mut x = 10.0;
    for (kind, colour) in kinds.iter().zip(COLOURS.iter().cycle()) {
        let _ = writeln!(
            svg,
            r#"<rect x="{x:.1}" y="{y:.1}" width="12" height="12" fill="{colour}"/>"#
        );
        text(svg, x + 17.0, y + 6.0, "start", kind);
        let letters = f64::from(u32::try_from(kind.chars().count()).unwrap_or(u32::MAX));
        x += letters.mul_add(6.7, 36.0);
    }
}

/// Three digits that matter; the names of Markdown lose their backticks.
fn figure(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn escaped(words: &str) -> String {
    words.replace('`', "").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
