/** Formulas of the paper in MathML, which browsers typeset and screen readers speak. */

/** (W − F + 2P) / S + 1 */
export function SizeFormula() {
  return (
    <math>
      <mo>(</mo>
      <mi>W</mi>
      <mo>−</mo>
      <mi>F</mi>
      <mo>+</mo>
      <mn>2</mn>
      <mi>P</mi>
      <mo>)</mo>
      <mo>/</mo>
      <mi>S</mi>
      <mo>+</mo>
      <mn>1</mn>
    </math>
  );
}

/** b = a / (k + α/n Σ a²)^β: §3.3 with ONNX's α, which is n times the paper's. */
export function NormalisationFormula() {
  return (
    <math display="block">
      <msub>
        <mi>b</mi>
        <mi>i</mi>
      </msub>
      <mo>=</mo>
      <mfrac>
        <msub>
          <mi>a</mi>
          <mi>i</mi>
        </msub>
        <msup>
          <mrow>
            <mo>(</mo>
            <mi>k</mi>
            <mo>+</mo>
            <mfrac>
              <mi>α</mi>
              <mi>n</mi>
            </mfrac>
            <munder>
              <mo>∑</mo>
              <mi>j</mi>
            </munder>
            <msubsup>
              <mi>a</mi>
              <mi>j</mi>
              <mn>2</mn>
            </msubsup>
            <mo>)</mo>
          </mrow>
          <mi>β</mi>
        </msup>
      </mfrac>
    </math>
  );
}
