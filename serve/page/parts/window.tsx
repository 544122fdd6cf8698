/** A rectangle of pixels, marked on the image that lies under it. */

export interface Size {
  height: number;
  width: number;
}

interface WindowProps extends Size {
  /** How it looks. */
  class: string;
  top: number;
  left: number;
  /** The image, in the same pixels. */
  on: Size;
}

export function Window({ class: name, top, left, height, width, on }: WindowProps) {
  const share = (px: number, whole: number) => `${(100 * px) / whole}%`;
  const style = {
    top: share(top, on.height),
    left: share(left, on.width),
    height: share(height, on.height),
    width: share(width, on.width),
  };
  return <span class={name} style={style} />;
}
