/** In which operator sets of ONNX's default domain operators and attributes exist (onnx/docs/Changelog.md). */

/** Operators by the operator set that brought them. */
export const OPERATORS: Record<number, string> = {
  1: 'Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv ConvTranspose DepthToSpace Div Dropout Elu Equal Exp Flatten Floor GRU Gather Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater HardSigmoid Hardmax Identity If InstanceNormalization LRN LSTM LeakyRelu Less Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool MaxRoiPool Mean Min Mul Neg Not Or PRelu Pad Pow RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Selu Shape Sigmoid Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Unsqueeze Upsample Xor',
  7: 'Acos Asin Atan Cos Multinomial Sin Tan',
  8: 'Expand Scan',
  9: 'Acosh Asinh Atanh Compress ConstantOfShape Cosh Erf EyeLike IsNaN MaxUnpool MeanVarianceNormalization NonZero OneHot Scatter Shrink Sign Sinh TfIdfVectorizer Where',
  10: 'ConvInteger DequantizeLinear IsInf MatMulInteger Mod NonMaxSuppression QLinearConv QLinearMatMul QuantizeLinear Resize ReverseSequence RoiAlign StringNormalizer ThresholdedRelu',
  11: 'BitShift ConcatFromSequence CumSum Det DynamicQuantizeLinear GatherElements GatherND Range Round ScatterElements ScatterND SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength SplitToSequence Unique',
  12: 'Celu Einsum GreaterOrEqual LessOrEqual NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss',
  14: 'HardSwish Trilu',
  15: 'Bernoulli CastLike Optional OptionalGetElement OptionalHasElement',
  16: 'GridSample',
  17: 'BlackmanWindow DFT HammingWindow HannWindow LayerNormalization MelWeightMatrix STFT SequenceMap',
  18: 'BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im GroupNormalization Mish',
  19: 'DeformConv',
  20: 'AffineGrid Gelu ImageDecoder RegexFullMatch StringConcat StringSplit',
  23: 'Attention RMSNormalization RotaryEmbedding',
  24: 'Swish TensorScatter',
  26: 'BitCast CumProd',
  27: 'CausalConvWithState LinearAttention',
  28: 'SwiGLU',
};

/** Operators by the operator set that took them away. */
export const REMOVED_OPERATORS: Record<number, string> = {
  10: 'Upsample',
  11: 'Scatter',
};

/** `Operator.attribute` by the operator set that brought it, if that is later than the operator's own. */
export const ATTRIBUTES: Record<number, string> = {
  2: 'Pad.pads',
  3: 'GRU.linear_before_reset',
  7: 'AveragePool.count_include_pad Upsample.scales',
  8: 'MaxPool.storage_order',
  9: 'Scan.scan_input_axes Scan.scan_input_directions Scan.scan_output_axes Scan.scan_output_directions',
  10: 'AveragePool.ceil_mode MaxPool.ceil_mode MaxPool.dilations',
  11: 'Constant.sparse_value DepthToSpace.mode Resize.coordinate_transformation_mode Resize.cubic_coeff_a Resize.exclude_outside Resize.extrapolation_value Resize.nearest_mode TopK.largest TopK.sorted',
  12: 'ArgMax.select_last_index ArgMin.select_last_index Constant.value_float Constant.value_floats Constant.value_int Constant.value_ints Constant.value_string Constant.value_strings Dropout.seed GatherND.batch_dims',
  13: 'DequantizeLinear.axis QuantizeLinear.axis ReduceSum.noop_with_empty_axes',
  14: 'BatchNormalization.training_mode GRU.layout LSTM.layout RNN.layout Reshape.allowzero',
  15: 'Shape.end Shape.start',
  16: 'RoiAlign.coordinate_transformation_mode ScatterElements.reduction ScatterND.reduction',
  18: 'LpPool.ceil_mode LpPool.dilations ReduceL1.noop_with_empty_axes ReduceL2.noop_with_empty_axes ReduceLogSum.noop_with_empty_axes ReduceLogSumExp.noop_with_empty_axes ReduceMax.noop_with_empty_axes ReduceMean.noop_with_empty_axes ReduceMin.noop_with_empty_axes ReduceProd.noop_with_empty_axes ReduceSumSquare.noop_with_empty_axes Resize.antialias Resize.axes Resize.keep_aspect_ratio_policy Split.num_outputs',
  19: 'AveragePool.dilations Cast.saturate CastLike.saturate QuantizeLinear.saturate',
  21: 'DequantizeLinear.block_size GroupNormalization.stash_type QuantizeLinear.block_size QuantizeLinear.output_dtype',
  23: 'DequantizeLinear.output_dtype QuantizeLinear.precision',
  24: 'Cast.round_mode CastLike.round_mode',
  25: 'Attention.left_window_size Attention.right_window_size',
  27: 'Range.stash_type',
  28: 'SpaceToDepth.mode',
};

/** `Operator.attribute` by the operator set that took it away, most of them to be an input instead. */
export const REMOVED_ATTRIBUTES: Record<number, string> = {
  2: 'Pad.paddings',
  5: 'Reshape.consumed_inputs Reshape.shape',
  6: 'Abs.consumed_inputs Add.consumed_inputs BatchNormalization.consumed_inputs Ceil.consumed_inputs Clip.consumed_inputs Div.consumed_inputs Dropout.consumed_inputs Elu.consumed_inputs Exp.consumed_inputs Floor.consumed_inputs HardSigmoid.consumed_inputs InstanceNormalization.consumed_inputs LeakyRelu.consumed_inputs Log.consumed_inputs Max.consumed_inputs Mean.consumed_inputs Min.consumed_inputs Mul.consumed_inputs Neg.consumed_inputs PRelu.consumed_inputs Reciprocal.consumed_inputs Relu.consumed_inputs Selu.consumed_inputs Sigmoid.consumed_inputs Sqrt.consumed_inputs Sub.consumed_inputs Sum.consumed_inputs Tanh.consumed_inputs',
  7: 'Add.axis Add.broadcast And.axis And.broadcast BatchNormalization.is_test Div.axis Div.broadcast Dropout.is_test Equal.axis Equal.broadcast GRU.output_sequence Gemm.broadcast Greater.axis Greater.broadcast LSTM.output_sequence Less.axis Less.broadcast Mul.axis Mul.broadcast Or.axis Or.broadcast Pow.axis Pow.broadcast RNN.output_sequence Sub.axis Sub.broadcast Upsample.height_scale Upsample.width_scale Xor.axis Xor.broadcast',
  9: 'BatchNormalization.spatial Scan.directions Upsample.scales',
  10: 'Slice.axes Slice.ends Slice.starts TopK.k',
  11: 'Clip.max Clip.min Pad.pads Pad.value',
  12: 'Dropout.ratio',
  13: 'ReduceSum.axes Split.split Squeeze.axes Unsqueeze.axes',
  18: 'ReduceL1.axes ReduceL2.axes ReduceLogSum.axes ReduceLogSumExp.axes ReduceMax.axes ReduceMean.axes ReduceMin.axes ReduceProd.axes ReduceSumSquare.axes',
  20: 'DFT.axis',
};
