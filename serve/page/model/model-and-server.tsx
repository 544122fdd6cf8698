/** The fourth chapter: the file that answers, its graph, and how the server does. */
import { Answer } from '../parts/answer.js';
import { OnDemand, View } from '../parts/chapter.js';
import type { Graph, Metadata } from '../server/answers.js';
import { askJson } from '../server/request.js';
import type { Server } from '../server/use-server.js';
import { useTask } from '../server/use-task.js';
import type { Subject } from '../subject.js';
import { GraphImage } from './graph-image.js';
import { MetadataTable } from './metadata-table.js';
import { ServerCharts } from './server-charts.js';

interface ModelAndServerProps {
  subject: Subject;
  server: Server;
}

export function ModelAndServer({ subject, server }: ModelAndServerProps) {
  return (
    <OnDemand
      id="model"
      ordinal={4}
      title="Model and server"
      open="Open the file"
      intro={
        <p>
          What answers here is one ONNX file and the process that runs it. This is everything they report about
          themselves.
        </p>
      }
    >
      <File subject={subject} />
      <ServerCharts server={server} target={subject.target} />
    </OnDemand>
  );
}

function File({ subject: { target, epoch } }: { subject: Subject }) {
  const metadata = useTask(
    (signal) => askJson<Metadata>('explain/metadata', { ...target }, signal),
    [target, epoch],
    true,
  );
  const graph = useTask((signal) => askJson<Graph>('explain/graph', { ...target }, signal), [target, epoch], true);
  return (
    <>
      <View
        title="The file"
        note={
          <p>
            Labels, crops, mean and measured errors travel inside the file, so that any program that runs ONNX can give
            the same answer.
          </p>
        }
      >
        <Answer of={metadata} working="Reading the file">
          {(value) => <MetadataTable metadata={value} />}
        </Answer>
      </View>
      <View
        title="The graph"
        wide
        note={
          <p>
            What the file tells the engine to compute, from the image at the top to the probabilities at the bottom.
            Dashed lines surround the operations of a layer; stored numbers are named in their operation with their
            lengths. Drag the graph to move it; the buttons zoom, and so does the wheel with Ctrl.
          </p>
        }
      >
        <Answer of={graph} working="Reading the graph">
          {(value) => <GraphImage graph={value} />}
        </Answer>
      </View>
    </>
  );
}
