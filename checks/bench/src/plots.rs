//! The pictures of a run, as SVG.

use std::error::Error;

use plotters::prelude::*;

use crate::results::Run;

/// A picture.
#[derive(Debug)]
pub struct Picture {
    /// The name of its file in docs/figures/.
    pub file: &'static str,
    /// What it shows, for who does not see it.
    pub title: &'static str,
    /// The file.
    pub svg: String,
}

/// Colours that stay apart for who does not see red and green as two.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];

/// All pictures of a run.
///
/// # Errors
///
/// Those of the crate that draws.
pub fn pictures(run: &Run) -> Result<Vec<Picture>, Box<dyn Error>> {
    let payload = |name: &&str, number: fn(&crate::results::Payload) -> Option<f64>| {
        let rows = run.payloads.iter().filter(|row| row.name == **name);
        let points = rows.filter_map(|row| Some(((row.bytes as f64).log2(), number(row)?)));
        Line { name: (*name).to_owned(), points: points.collect() }
    };
    let carried = [
        "plain, in place",
        "iceoryx2",
        "plain copies",
        "seqlock",
        "ring",
        "mmap-sync",
        "pipe",
        "Unix stream",
    ];
    let streams =
        ["ring", "iceoryx2", "pipe", "Unix stream", "TCP loopback", "POSIX message queue"];
    let bytes = Axis { name: "bytes of a payload", label: bytes, ends: 6.0..20.0, labels: 8 };
    let readers = |name: &str| {
        let rows = run.readers.iter().filter(|row| row.name == name);
        let points = rows.map(|row| (row.readers as f64, row.publish_ns)).collect();
        Line { name: name.to_owned(), points }
    };
    let number = |number: &f64| number.to_string();
    let counts = Axis { name: "readers", label: number, ends: 0.0..8.0, labels: 9 };
    Ok(vec![
        Picture {
            file: "how-fast-one-way.svg",
            title: "A bar for each way to hand over 68 bytes: the median time, one way, and a thin line from there to the 99th percentile. Those that spin stand above those that sleep.",
            svg: bars(run)?,
        },
        Picture {
            file: "how-fast-payloads.svg",
            title: "The time of a payload, one way, by its size from 64 bytes to 1 MiB, a line for each way. The lines lie far apart on the left and come together on the right.",
            svg: lines(&carried.each_ref().map(|it| payload(it, |row| row.one_way_ns)), &bytes, "ns")?,
        },
        Picture {
            file: "how-fast-throughput.svg",
            title: "MiB per second by the size of a message from 64 bytes to 1 MiB, a line for each way that keeps every message.",
            svg: lines(&streams.each_ref().map(|it| payload(it, |row| row.mib_per_s)), &bytes, "MiB/s")?,
        },
        Picture {
            file: "how-fast-readers.svg",
            title: "What a publication costs the writer with 0 to 8 readers, a line for the seqlock and one for the robust mutex.",
            svg: lines(&["seqlock", "robust mutex"].map(readers), &counts, "ns")?,
        },
    ]
    .into_iter()
    .map(|picture| Picture { svg: finished(&picture.svg, picture.title), ..picture })
    .collect())
}

/// With its title in it, and as Git likes it.
fn finished(svg: &str, title: &str) -> String {
    let (open, rest) = svg.split_once('>').unwrap_or((svg, ""));
    let rest = rest.replace("#FFFFFF", "#ffffff");
    let lines: Vec<_> = rest.lines().map(str::trim_end).collect();
    format!("{open}>\n<title>{title}</title>{}\n", lines.join("\n"))
}

struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

struct Axis {
    name: &'static str,
    label: fn(&f64) -> String,
    ends: std::ops::Range<f64>,
    labels: usize,
}

fn bytes(exponent: &f64) -> String {
    match exponent.round() {
        it @ ..10.0 => format!("{}", it.exp2()),
        it @ ..20.0 => format!("{} Ki", (it - 10.0).exp2()),
        it => format!("{} Mi", (it - 20.0).exp2()),
    }
}

/// The whole powers of ten around all of `numbers`.
fn decades(numbers: impl Iterator<Item = f64> + Clone) -> std::ops::Range<f64> {
    let least = numbers.clone().fold(f64::MAX, f64::min).max(1e-3);
    let most = numbers.fold(1.0, f64::max);
    let low = 10_f64.powf(least.log10().floor());
    low..10_f64.powf(most.log10().ceil()).max(low * 10.0)
}

fn lines(lines: &[Line], x: &Axis, unit: &str) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (800, 480)).into_drawing_area();
        root.fill(&WHITE)?;
        let y = decades(lines.iter().flat_map(|it| it.points.iter().map(|point| point.1)));
        let mut chart = ChartBuilder::on(&root)
            .margin(16)
            .margin_right(28)
            .x_label_area_size(44)
            .y_label_area_size(76)
            .build_cartesian_2d(x.ends.clone(), y.log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(x.name)
            .y_desc(unit)
            .x_labels(x.labels)
            .x_label_formatter(&x.label)
            .y_label_formatter(&|it| format!("{it}"))
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 15))
            .draw()?;
        for (line, colour) in lines.iter().zip(COLOURS) {
            let stroke = colour.stroke_width(2);
            let points = line.points.iter().copied();
            chart
                .draw_series(LineSeries::new(points.clone(), stroke))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], stroke));
            chart.draw_series(points.map(|it| Circle::new(it, 3, colour.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(("sans-serif", 14))
            .background_style(WHITE)
            .border_style(RGBColor(180, 180, 180))
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

fn bars(run: &Run) -> Result<String, Box<dyn Error>> {
    let rows = &run.one_way;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (800, 24 * rows.len() as u32 + 76));
        let root = root.into_drawing_area();
        root.fill(&WHITE)?;
        let numbers = rows.iter().flat_map(|it| [it.median_ns, it.p99_ns]);
        let ends = decades(numbers);
        let mut chart = ChartBuilder::on(&root)
            .margin(16)
            .margin_right(28)
            .margin_left(190)
            .x_label_area_size(44)
            .build_cartesian_2d(ends.clone().log_scale(), 0.0..rows.len() as f64)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc("ns, one way")
            .x_label_formatter(&|it| format!("{it}"))
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 15))
            .draw()?;
        for (at, row) in rows.iter().rev().enumerate() {
            let at = at as f64;
            let colour = COLOURS[usize::from(row.waits == "sleeps")];
            let bar = [(ends.start, at + 0.2), (row.median_ns, at + 0.8)];
            chart.draw_series([Rectangle::new(bar, colour.filled())])?;
            let to_p99 = vec![(row.median_ns, at + 0.5), (row.p99_ns, at + 0.5)];
            chart.draw_series([PathElement::new(to_p99, colour.stroke_width(2))])?;
            let (x, y) = chart.backend_coord(&(ends.start, at + 0.5));
            root.draw(&Text::new(row.name.clone(), (x - 178, y - 8), ("sans-serif", 14)))?;
        }
        for (at, name) in ["spins", "sleeps"].iter().enumerate() {
            let (x, y) = (680, 24 + 20 * at as i32);
            root.draw(&Rectangle::new([(x, y), (x + 14, y + 12)], COLOURS[at].filled()))?;
            root.draw(&Text::new(*name, (x + 20, y - 2), ("sans-serif", 14)))?;
        }
        root.present()?;
    }
    Ok(svg)
}
