/** The places that a model may have, among all that are ranked. */

interface Props {
  best: number;
  worst: number;
  /** How many are ranked. */
  of: number;
  label: string;
}

const WIDTH_PX = 90;
const HEIGHT_PX = 14;
/** Between two places; with many models there is none. */
const GAP_PX = 1;

export function RankBar({ best, worst, of, label }: Props) {
  const step = WIDTH_PX / Math.max(of, 1);
  const gap = step > 3 ? GAP_PX : 0;
  const told = best === worst ? `${best}` : `${best} to ${worst}`;
  return (
    <svg className="ranks" width={WIDTH_PX} height={HEIGHT_PX} role="img" aria-label={`${label}: ${told} of ${of}`}>
      {Array.from({ length: of }, (_, at) => <rect key={at} className="ranks-place" data-in={at + 1 >= best && at + 1 <= worst} x={at * step} y={2} width={Math.max(step - gap, 0.5)} height={HEIGHT_PX - 4} rx={gap} />)}
    </svg>
  );
}
