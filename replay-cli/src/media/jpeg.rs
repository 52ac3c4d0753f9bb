//! Whether a JPEG file is whole. Its decoder fills what is missing with grey, silently.

/// Whether the file has its end marker: every segment and scan before it is there. Bytes after the first image are not looked at. `true` for
/// what is not a JPEG file.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    const START: [u8; 2] = [0xff, 0xd8];
    let Some(mut rest) = bytes.strip_prefix(&START) else { return true };
    loop {
        // A marker: 0xff, as often as one likes, and a code.
        let Some(at) = rest.iter().position(|&byte| byte != 0xff).filter(|&at| at > 0) else { return false };
        let (code, after) = (rest[at], &rest[at + 1..]);
        rest = match code {
            0xd9 => return true,
            // Markers without content.
            0x01 | 0xd0..=0xd7 => after,
            _ => {
                let Some(&[high, low]) = after.first_chunk::<2>() else { return false };
                let Some(content) = after.get(usize::from(u16::from_be_bytes([high, low]))..) else { return false };
                if code == 0xda { after_scan(content) } else { content }
            }
        };
    }
}

/// What follows the compressed data of a scan: from the next marker on that does not belong to it.
fn after_scan(data: &[u8]) -> &[u8] {
    let marker = data.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff));
    marker.map_or(&[], |at| &data[at..])
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageFormat, RgbImage};

    use super::*;

    #[test]
    fn a_file_that_was_cut_anywhere_is_not_whole() {
        let noisy =
            RgbImage::from_fn(40, 30, |x, y| image::Rgb([((x * 7) ^ (y * 13)) as u8, (x * y) as u8, (x * 31) as u8]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::from(noisy).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        let bytes = bytes.into_inner();
        assert!(is_whole(&bytes) && is_whole(&[&bytes[..], b"trailing"].concat()));
        for end in 2..bytes.len() - 1 {
            assert!(!is_whole(&bytes[..end]), "cut after {end} of {}", bytes.len());
        }
        // A thumbnail in the metadata has an end marker of its own.
        let thumbnail = [&[0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd9, 0, 0], &bytes[2..bytes.len() - 2]].concat();
        assert!(!is_whole(&thumbnail));
        assert!(is_whole(b"not a JPEG file") && !is_whole(&[0xff, 0xd8]));
    }
}
