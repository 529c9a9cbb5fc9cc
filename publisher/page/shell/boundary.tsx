import { Component, type ComponentChildren } from 'preact';
import type { ErrorView } from '../../console/api.ts';
import { ErrorBox } from '../parts/parts.tsx';

interface Properties {
  children: ComponentChildren;
}

/** Shows that its content cannot be drawn, and why. Without it, an error in one part leaves the whole page empty. */
export class Boundary extends Component<Properties, { error?: ErrorView }> {
  override componentDidCatch(thrown: unknown): void {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    this.setState({
      error: { code: 'INTERNAL', message: `this part of the page cannot be drawn: ${message}`, hint: HINT },
    });
  }

  override render({ children }: Properties) {
    return this.state.error === undefined ? children : <ErrorBox error={this.state.error} />;
  }
}

const HINT = 'reload the page; the command line shows the same. Please report this';
