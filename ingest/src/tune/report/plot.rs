//! Plots as SVG: axes, bars, points. Colours are classes that the page's style gives, light and dark.

use std::fmt::Write;

/// Drawing area, in user units.
pub const WIDTH: f64 = 720.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;

/// An axis in logarithms.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Around all of these values, those that are not above 0 aside, over `from..to` of the drawing.
    pub fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, 0.0f64);
        values.filter(|value| *value > 0.0 && value.is_finite()).for_each(|value| {
            low = low.min(value);
            high = high.max(value);
        });
        if high == 0.0 {
            (low, high) = (1.0, 10.0);
        }
        let (low, high) = (low / 1.25, high * 1.25);
        Axis { low, high, from, to }
    }

    pub fn at(&self, value: f64) -> f64 {
        let share = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Values of `steps` times powers of `base` that lie on the axis: at most about eight of them.
    fn ticks(&self, base: f64, steps: &[f64]) -> Vec<f64> {
        let all = |steps: &[f64], each: i32| {
            let first = self.low.log(base).floor() as i32;
            let last = self.high.log(base).ceil() as i32;
            let powers = (first..=last).filter(|power| power.rem_euclid(each) == 0);
            let values = powers.flat_map(|power| steps.iter().map(move |step| step * base.powi(power)));
            values.filter(|value| (self.low..=self.high).contains(value)).collect::<Vec<f64>>()
        };
        let fine = all(steps, 1);
        if fine.len() <= 8 {
            return fine;
        }
        (1..=12).map(|each| all(&[1.0], each)).find(|ticks| ticks.len() <= 8).unwrap_or_default()
    }
}

/// Which values an axis names.
#[derive(Debug, Clone, Copy)]
pub enum Scale {
    Bytes,
    Count,
    Seconds,
}

impl Scale {
    fn ticks(self, axis: &Axis) -> Vec<f64> {
        match self {
            Scale::Bytes => axis.ticks(2.0, &[1.0]),
            Scale::Count => axis.ticks(10.0, &[1.0, 2.0, 5.0]),
            Scale::Seconds => {
                let all = [0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 4.0 * 3_600.0, 86_400.0];
                all.into_iter().filter(|value| (axis.low..=axis.high).contains(value)).collect()
            }
        }
    }

    pub fn text(self, value: f64) -> String {
        match self {
            Scale::Bytes => bytes(value),
            Scale::Count if value < 1.0 => format!("{value:.2}"),
            Scale::Count => super::super::recommend::count(value),
            Scale::Seconds if value < 60.0 => format!("{value} s"),
            Scale::Seconds if value < 3_600.0 => format!("{} min", value / 60.0),
            Scale::Seconds => format!("{} h", value / 3_600.0),
        }
    }
}

fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = ((value.max(1.0).log2() / 10.0) as usize).min(units.len() - 1);
    format!("{} {}", (value / 1024f64.powi(unit as i32)).round(), units[unit])
}

/// A drawing that is being made.
#[derive(Debug)]
pub struct Plot {
    out: String,
    pub height: f64,
}

impl Plot {
    /// `label` says what it shows to who cannot see it.
    pub fn new(height: f64, label: &str) -> Plot {
        let label = escape(label);
        let out = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">\n");
        Plot { out, height }
    }

    /// Of x values, in logarithms.
    pub fn x(values: impl Iterator<Item = f64>) -> Axis {
        Axis::around(values, LEFT + 12.0, WIDTH - RIGHT - 12.0)
    }

    /// Of y values, in logarithms.
    pub fn y(&self, values: impl Iterator<Item = f64>) -> Axis {
        Axis::around(values, self.height - BOTTOM - 8.0, TOP + 8.0)
    }

    /// Ends of the drawing area: left, top, right, bottom.
    pub fn area(&self) -> (f64, f64, f64, f64) {
        (LEFT, TOP, WIDTH - RIGHT, self.height - BOTTOM)
    }

    pub fn x_axis(&mut self, axis: &Axis, scale: Scale, title: &str) {
        let (_, top, _, bottom) = self.area();
        for value in scale.ticks(axis) {
            let x = axis.at(value);
            self.line("grid", (x, top), (x, bottom));
            self.text("tick", x, bottom + 17.0, "middle", &scale.text(value));
        }
        self.title_x(title);
    }

    pub fn title_x(&mut self, title: &str) {
        let (left, _, right, bottom) = self.area();
        self.text("axis", (left + right) / 2.0, bottom + 38.0, "middle", title);
    }

    pub fn y_axis(&mut self, axis: &Axis, scale: Scale, title: &str) {
        for value in scale.ticks(axis) {
            self.y_tick(axis.at(value), &scale.text(value));
        }
        self.title_y(title);
    }

    pub fn y_tick(&mut self, y: f64, text: &str) {
        let (left, _, right, _) = self.area();
        self.line("grid", (left, y), (right, y));
        self.text("tick", left - 8.0, y + 4.0, "end", text);
    }

    pub fn title_y(&mut self, title: &str) {
        let (_, top, _, bottom) = self.area();
        let (x, y, text) = (14.0, (top + bottom) / 2.0, escape(title));
        let turned = format!("transform=\"rotate(-90 {x} {y:.1})\" text-anchor=\"middle\"");
        self.push(format_args!("<text class=\"axis\" x=\"{x}\" y=\"{y:.1}\" {turned}>{text}</text>"));
    }

    pub fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.push(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    pub fn text(&mut self, class: &str, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escape(text);
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    pub fn bar(&mut self, class: &str, x: f64, y: f64, (width, height): (f64, f64), hint: &str) {
        let hint = escape(hint);
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{hint}</title></rect>"
        ));
    }

    pub fn dot(&mut self, class: &str, x: f64, y: f64, radius: f64, hint: &str) {
        let hint = escape(hint);
        self.push(format_args!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"><title>{hint}</title></circle>"
        ));
    }

    pub fn curve(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.push(format_args!("<polyline class=\"{class}\" points=\"{}\"/>", points.join(" ")));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.out, "{element}").expect("text grows");
    }

    pub fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }
}

/// Text for markup: paths and names come from events.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_holds_its_values_and_names_a_few() {
        for values in [vec![5.0], vec![1.0, 1e9], vec![0.0], vec![], vec![300.0, 301.0]] {
            let axis = Axis::around(values.iter().copied(), 0.0, 100.0);
            assert!(values.iter().all(|value| (0.0..=100.0).contains(&axis.at(*value))), "{values:?}");
            for scale in [Scale::Bytes, Scale::Count, Scale::Seconds] {
                assert!(scale.ticks(&axis).len() <= 10, "{values:?}");
            }
        }
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a href='x'>&\"\u{1b}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot; ");
    }
}
