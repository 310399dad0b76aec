//! Plots cost and quality as SVG, written element by element: a plotting crate would add more code than the hundred
//! lines here. Names come from a file of outcomes and are escaped.

use super::view::{FrontierView, Kind, RoutingView};
use std::fmt::Write;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;

/// The coordinates of cost and share on the plot. Cost is logarithmic.
struct Axes {
    from: f64,
    to: f64,
    low: f64,
    high: f64,
}

impl Axes {
    fn around(view: &RoutingView) -> Self {
        let costs = || view.frontier.iter().map(|at| at.point.cost_usd.dollars()).filter(|cost| *cost > 0.0);
        let shares = || view.frontier.iter().map(|at| at.point.resolved);
        let least = costs().fold(f64::INFINITY, f64::min);
        let most = costs().fold(0.0, f64::max);
        let (from, to) = if most > 0.0 { (least / 1.3, most * 1.6) } else { (0.1, 1.0) };
        let low = (shares().fold(1.0, f64::min) * 10.0).floor() / 10.0;
        let high = ((shares().fold(0.0, f64::max) * 10.0).floor() + 1.0) / 10.0;
        Self { from, to, low, high }
    }

    fn x(&self, cost: f64) -> f64 {
        let at = (cost.max(self.from) / self.from).ln() / (self.to / self.from).ln();
        LEFT + at * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, share: f64) -> f64 {
        HEIGHT - BOTTOM - (share - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }
}

/// Returns the plot of a replay.
pub fn svg(view: &RoutingView) -> String {
    let axes = Axes::around(view);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    let (fa, fr) = (view.gate.false_accept * 100.0, view.gate.false_reject * 100.0);
    let title = format!("{} tasks; gate: {fa:.0} % false accept, {fr:.0} % false reject", view.tasks);
    text(&mut out, [LEFT, 18.0], "start", &title);
    scales(&mut out, &axes);
    let of = |kind| view.frontier.iter().filter(move |point| point.kind == kind);
    line(&mut out, "#999999", "4 3", &mixed(&of(Kind::Mix).collect::<Vec<_>>(), &axes));
    let places = |kind| of(kind).map(|at| place(at, &axes)).collect::<Vec<_>>();
    line(&mut out, "#e08214", "none", &places(Kind::Cascade));
    line(&mut out, "#2166ac", "none", &places(Kind::Policy));
    for point in &view.frontier {
        mark(&mut out, point, &axes);
    }
    for point in of(Kind::Mix).chain(of(Kind::Oracle)) {
        let [x, y] = place(point, &axes);
        text(&mut out, [x, y - 8.0], "middle", &point.name);
    }
    chosen(&mut out, view, &axes);
    legend(&mut out);
    out.push_str("</svg>\n");
    out
}

fn place(point: &FrontierView, axes: &Axes) -> [f64; 2] {
    [axes.x(point.point.cost_usd.dollars()), axes.y(point.point.resolved)]
}

/// Returns the random-mix line. It is straight in dollars, and therefore curved on this plot.
fn mixed(corners: &[&FrontierView], axes: &Axes) -> Vec<[f64; 2]> {
    let mut places = Vec::new();
    for two in corners.windows(2) {
        let [from, to] = [two[0].point, two[1].point];
        for step in 0..=16 {
            let part = f64::from(step) / 16.0;
            let cost = from.cost_usd.dollars() * (1.0 - part) + to.cost_usd.dollars() * part;
            places.push([axes.x(cost), axes.y(from.resolved * (1.0 - part) + to.resolved * part)]);
        }
    }
    places
}

fn scales(out: &mut String, axes: &Axes) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut rule = |x1: f64, y1: f64, x2: f64, y2: f64| {
        push(
            out,
            format_args!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#dddddd\"/>\n"),
        );
    };
    let tenths = || (0..=10).map(|tenth| f64::from(tenth) / 10.0).filter(|at| (axes.low..=axes.high).contains(at));
    tenths().for_each(|share| rule(LEFT, axes.y(share), right, axes.y(share)));
    let dollars = || (-4..=9).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)));
    let dollars = || dollars().filter(|cost| (axes.from..=axes.to).contains(cost));
    dollars().for_each(|cost| rule(axes.x(cost), TOP, axes.x(cost), bottom));
    tenths().for_each(|share| text(out, [LEFT - 8.0, axes.y(share) + 4.0], "end", &format!("{:.0} %", share * 100.0)));
    dollars().for_each(|cost| text(out, [axes.x(cost), bottom + 16.0], "middle", &format!("${cost}")));
    text(out, [(LEFT + right) / 2.0, HEIGHT - 16.0], "middle", "cost of all tasks");
    text(out, [LEFT, TOP - 8.0], "end", "resolved");
}

fn mark(out: &mut String, point: &FrontierView, axes: &Axes) {
    let [x, y] = place(point, axes);
    let (colour, size) = match point.kind {
        Kind::Single => ("#777777", 3.5),
        Kind::Cascade => ("#e08214", 3.5),
        Kind::Policy => ("#2166ac", 3.0),
        Kind::Oracle => ("#1b7837", 6.0),
        Kind::Mix => return,
    };
    let (name, share, cost) = (escaped(&point.name), point.point.resolved * 100.0, point.point.cost_usd);
    push(
        out,
        format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{size}\" fill=\"{colour}\"><title>{name}: {share:.1} %, {cost}</title></circle>\n"
        ),
    );
}

/// Draws the policy with its confidence intervals as a cross.
fn chosen(out: &mut String, view: &RoutingView, axes: &Axes) {
    let policy = &view.policy;
    let [x, y] = [axes.x(policy.point.cost_usd.dollars()), axes.y(policy.point.resolved)];
    let [up, down] = policy.ci95.resolved.map(|share| axes.y(share));
    let [left, right] = policy.ci95.cost_usd.map(|cost| axes.x(cost.dollars()));
    line(out, "#2166ac", "none", &[[x, up], [x, down]]);
    line(out, "#2166ac", "none", &[[left, y], [right, y]]);
    push(out, format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" fill=\"#2166ac\"/>\n"));
}

fn legend(out: &mut String) {
    let entries = [
        ("#2166ac", "policy (large: as given, with 95 % intervals)"),
        ("#e08214", "best plain cascades"),
        ("#777777", "single models"),
        ("#999999", "random mix of two models (dashed)"),
        ("#1b7837", "oracle"),
    ];
    for (at, (colour, name)) in entries.into_iter().enumerate() {
        let y = HEIGHT - BOTTOM - 90.0 + 17.0 * at as f64;
        let x = WIDTH - RIGHT - 270.0;
        push(out, format_args!("<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/>\n", y - 4.0));
        text(out, [x + 10.0, y], "start", name);
    }
}

fn line(out: &mut String, colour: &str, dashes: &str, places: &[[f64; 2]]) {
    let places: Vec<String> = places.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
    push(
        out,
        format_args!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-dasharray=\"{dashes}\" points=\"{}\"/>\n",
            places.join(" ")
        ),
    );
}

fn text(out: &mut String, [x, y]: [f64; 2], anchor: &str, words: &str) {
    let words = escaped(words);
    push(
        out,
        format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#333333\">{words}</text>\n"),
    );
}

fn push(out: &mut String, element: std::fmt::Arguments<'_>) {
    out.write_fmt(element).expect("a string takes everything");
}

/// Escapes text for XML, without characters that XML does not allow.
fn escaped(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for character in words.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            control if control.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_element() {
        assert_eq!(escaped("a<b>&\"c'\u{1b}\u{ffff}é"), "a&lt;b&gt;&amp;&quot;c&apos;\u{fffd}\u{fffd}é");
    }

    #[test]
    fn costs_and_shares_land_on_the_sheet() {
        let axes = Axes { from: 1.0, to: 100.0, low: 0.0, high: 1.0 };
        assert_eq!([axes.x(1.0), axes.x(100.0), axes.x(0.0)], [LEFT, WIDTH - RIGHT, LEFT]);
        assert_eq!([axes.y(0.0), axes.y(1.0)], [HEIGHT - BOTTOM, TOP]);
        assert!((axes.x(10.0) - (LEFT + WIDTH - RIGHT) / 2.0).abs() < 1e-9);
    }
}
